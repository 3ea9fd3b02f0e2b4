// What runs here, for whoever writes programs against it.
import { send } from "../lib/http.js";
import { h, replace } from "../lib/dom.js";

export const title = "For developers";

const SERVICES = [
  ["auth", "signs people in, and publishes the keys that tokens are checked with"],
  ["catalog", "lists what is for sale, and holds it for orders"],
  ["orders", "keeps carts, and takes an order through its checkout"],
  ["payments", "takes and gives back the money, and keeps the ledger"],
  ["logs", "keeps what every service logs, and finds it again"],
];

export async function view({ signal }) {
  return h(
    "div",
    { class: "stack-wide" },
    h("h1", null, title),
    h(
      "p",
      { class: "lead faint" },
      "Behind this page are five small services and one gateway. Everything that it does, a program can do, too: see the ",
      h("a", { href: "/docs" }, "documentation of the API"),
      ".",
    ),
    h(
      "section",
      { class: "card card-body", "aria-label": "Services" },
      h(
        "div",
        { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Services" },
        h(
          "table",
          { class: "table" },
          h(
            "thead",
            null,
            h(
              "tr",
              null,
              ["Service", "What it does", "Health", "OpenAPI"].map((text) => h("th", { scope: "col" }, text)),
            ),
          ),
          h(
            "tbody",
            null,
            SERVICES.map(([name, work]) => showService(name, work, signal)),
          ),
        ),
      ),
    ),
    h(
      "p",
      { class: "faint" },
      "The gateway tells ",
      h("a", { href: "/healthz" }, "its own health"),
      "; the public keys are at ",
      h("a", { href: "/.well-known/jwks.json" }, "/.well-known/jwks.json"),
      ".",
    ),
  );
}

function showService(name, work, signal) {
  const health = h("a", { href: `/healthz/${name}-service` }, "health");
  ask(name, health, signal);
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, `${name}-service`),
    h("td", null, work),
    h("td", null, health),
    h("td", null, h("a", { href: `/docs/${name}.json` }, "document")),
  );
}

async function ask(name, health, signal) {
  try {
    const { instance, version } = await send("GET", `/healthz/${name}-service`, { signal });
    replace(health, h("span", { class: "badge badge-good" }, "up"));
    health.title = `${instance}, version ${version}`;
  } catch (problem) {
    if (problem.name !== "AbortError") replace(health, h("span", { class: "badge badge-bad" }, "down"));
  }
}
