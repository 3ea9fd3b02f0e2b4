// Whether everything works: each service's health, its replicas, and how much it writes to the logs.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/format.js";
import { send } from "../lib/http.js";
import { linkTo } from "../lib/router.js";
import { drawHistogram, sumLevels } from "./histogram.js";
import { badge, card, facts, pageHead } from "./parts.js";
import { SERVICES } from "./words.js";

const ASKED = 6; // Times in a round, so that several replicas have their turn.
const EVERY = 15_000;
const MINUTES = 30;
const BARS = 60;

export async function view({ signal }) {
  const state = h("p", { class: "list-count faint", role: "status" });
  const parts = [gatewayPart(signal), ...SERVICES.map((service) => servicePart(service, signal))];
  const again = h("button", { class: "button", type: "button", onclick: () => look() }, icon("refresh"), "Ask again");

  async function look() {
    state.textContent = "Asking …";
    const healthy = await Promise.all(parts.map((part) => part.look()));
    if (signal.aborted) return;
    const working = healthy.filter(Boolean).length;
    state.textContent = `${working} of ${parts.length} answer.`;
  }
  async function keepLooking() {
    while (!signal.aborted) {
      // Nobody looks at a page that is not in front.
      if (!document.hidden) await look();
      await wait(EVERY, signal).catch(() => {});
    }
  }
  keepLooking();
  return [
    pageHead("Services", { actions: again }),
    h(
      "p",
      { class: "faint" },
      `This page asks each service ${ASKED} times every ${EVERY / 1000} s, through the gateway. A replica that `,
      "answered is counted; one that had no turn is not. What is said of records is counted in the logs of the last ",
      `${MINUTES} minutes; figures of requests and their durations are in Prometheus, which the gateway does not show.`,
    ),
    state,
    h(
      "div",
      { class: "services" },
      parts.map((part) => part.node),
    ),
  ];
}

function gatewayPart(signal) {
  return makePart({
    name: "gateway",
    path: "/healthz",
    rate: (perMinute) => [["Requests a minute", perMinute]],
    signal,
  });
}

function servicePart(name, signal) {
  return makePart({ name, path: `/healthz/${name}`, rate: (perMinute) => [["Records a minute", perMinute]], signal });
}

function makePart({ name, path, rate, signal }) {
  const health = h("div");
  const chart = h("div");
  const instances = new Map();

  async function look() {
    const [isHealthy] = await Promise.all([lookAtHealth(), lookAtLogs()]);
    return isHealthy;
  }
  async function lookAtHealth() {
    const times = [];
    let problem = null;
    for (let n = 0; n < ASKED; n += 1) {
      const begun = performance.now();
      try {
        const { instance, version } = await send("GET", path, { signal });
        instances.set(instance, { version, at: Date.now() });
        times.push(performance.now() - begun);
      } catch (error) {
        if (signal.aborted) return false;
        problem = error;
        // Whatever does not answer at all is not waited for six times.
        if (!times.length) break;
      }
    }
    for (const [instance, seen] of instances) if (Date.now() - seen.at > 2 * EVERY) instances.delete(instance);
    replace(health, describe(problem, times));
    return times.length > 0;
  }
  function describe(problem, times) {
    const versions = [...new Set([...instances.values()].map((seen) => seen.version).filter(Boolean))];
    const isDown = !times.length;
    const failed = ASKED - times.length;
    const median = times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)];
    return facts([
      ["Health", [badge(isDown ? "down" : "ok"), failed > 0 && !isDown && ` ${failed} of ${ASKED} times no answer`]],
      ["Why", problem && problem.message],
      [
        "Replicas",
        instances.size ? h("span", null, `${instances.size}: `, [...instances.keys()].sort().join(", ")) : "none seen",
      ],
      ["Version", versions.join(", ") || null],
      ["Answers in", isDown ? null : `${formatNumber(Math.round(median))} ms`],
    ]);
  }
  async function lookAtLogs() {
    const since = new Date(Date.now() - MINUTES * 60_000).toISOString();
    try {
      const histogram = await call("GET", "/logs/histogram", { query: { service: name, since, bars: BARS }, signal });
      const { total, errors } = sumLevels(histogram.data);
      replace(
        chart,
        facts([
          ...rate(formatNumber(Math.round((total / MINUTES) * 10) / 10)),
          [
            "Errors",
            h("a", { href: linkTo("/admin/logs", { service: name, level: "ERROR", since }) }, formatNumber(errors)),
          ],
        ]),
        drawHistogram(histogram, { isSmall: true }),
      );
    } catch (problem) {
      if (!signal.aborted)
        replace(chart, h("p", { class: "faint" }, "The logs do not answer, so nothing is known of its records."));
    }
  }
  const links = [
    h("a", { href: linkTo("/admin/logs", { service: name }) }, "Its logs"),
    " · ",
    h("a", { href: linkTo("/admin/logs/live", { service: name }) }, "live"),
    name === "gateway"
      ? null
      : [" · ", h("a", { href: `/docs?urls.primaryName=${name.replace("-service", "")}` }, "API")],
  ];
  return { node: card(name, health, chart, h("p", { class: "small" }, links)), look };
}
