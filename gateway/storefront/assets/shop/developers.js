// The services and their health, for developers of API clients.
import { send } from "../lib/http.js";
import { h, replace } from "../lib/dom.js";

export const title = "For developers";

const SERVICES = [
  ["auth", "Signs users in and publishes the keys that verify access tokens"],
  ["catalog", "Lists products and reserves stock for orders"],
  ["orders", "Stores carts and takes orders through checkout"],
  ["payments", "Captures and refunds payments and keeps the ledger"],
  ["logs", "Stores and searches the logs of all services"],
];

export async function view({ signal }) {
  return h(
    "div",
    { class: "stack-wide" },
    h("h1", null, title),
    h(
      "p",
      { class: "lead faint" },
      "Shopfleet runs on five small services behind one gateway. Your programs can do everything that this site " +
        "does: see the ",
      h("a", { href: "/docs" }, "API documentation"),
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
              ["Service", "Purpose", "Health", "OpenAPI"].map((text) => h("th", { scope: "col" }, text)),
            ),
          ),
          h(
            "tbody",
            null,
            SERVICES.map(([name, purpose]) => showService(name, purpose, signal)),
          ),
        ),
      ),
    ),
    h(
      "p",
      { class: "faint" },
      "Gateway health: ",
      h("a", { href: "/healthz" }, "/healthz"),
      ". Public keys: ",
      h("a", { href: "/.well-known/jwks.json" }, "/.well-known/jwks.json"),
      ".",
    ),
  );
}

function showService(name, purpose, signal) {
  const health = h("a", { href: `/healthz/${name}-service` }, "Checking…");
  showHealth(name, health, signal);
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, `${name}-service`),
    h("td", null, purpose),
    h("td", null, health),
    h("td", null, h("a", { href: `/docs/${name}.json` }, `${name}.json`)),
  );
}

async function showHealth(name, health, signal) {
  try {
    const { instance, version } = await send("GET", `/healthz/${name}-service`, { signal });
    replace(health, h("span", { class: "badge badge-good" }, "Healthy"));
    health.title = `${instance}, version ${version}`;
  } catch (problem) {
    if (problem.name !== "AbortError") replace(health, h("span", { class: "badge badge-bad" }, "Down"));
  }
}
