// The health, the replicas and the log volume of each service.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/format.js";
import { send } from "../lib/http.js";
import { linkTo } from "../lib/router.js";
import { drawHistogram, sumLevels } from "./histogram.js";
import { badge, card, facts, pageHead } from "./parts.js";
import { SERVICES } from "./labels.js";

const CHECKS = 6; // Per round, so that the gateway reaches several replicas.
const INTERVAL = 15_000; // Milliseconds.
const MINUTES = 30;
const BARS = 60;

export async function view({ signal }) {
  const state = h("p", { class: "list-count faint", role: "status" });
  const parts = [gatewayPart(signal), ...SERVICES.map((service) => servicePart(service, signal))];
  const checkNow = h(
    "button",
    { class: "button", type: "button", onclick: () => check() },
    icon("refresh"),
    "Check now",
  );

  async function check() {
    state.textContent = "Checking…";
    const results = await Promise.all(parts.map((part) => part.check()));
    if (signal.aborted) return;
    state.textContent = `${results.filter(Boolean).length} of ${parts.length} healthy.`;
  }
  async function keepChecking() {
    while (!signal.aborted) {
      if (!document.hidden) await check();
      await wait(INTERVAL, signal).catch(() => {});
    }
  }
  keepChecking();
  return [
    pageHead("Services", { actions: checkNow }),
    h(
      "p",
      { class: "faint" },
      `This page checks each service ${CHECKS} times every ${INTERVAL / 1000} seconds through the gateway, and counts `,
      `the replicas that respond. The rates and errors come from the logs of the last ${MINUTES} minutes. Request `,
      "metrics are in Prometheus, which the gateway does not expose.",
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
  return makePart({ name: "gateway", path: "/healthz", rateLabel: "Requests per minute", signal });
}

function servicePart(name, signal) {
  return makePart({ name, path: `/healthz/${name}`, rateLabel: "Records per minute", signal });
}

function makePart({ name, path, rateLabel, signal }) {
  const health = h("div");
  const chart = h("div");
  const instances = new Map();

  async function check() {
    const [isHealthy] = await Promise.all([checkHealth(), countRecords()]);
    return isHealthy;
  }
  async function checkHealth() {
    const times = [];
    let problem = null;
    for (let n = 0; n < CHECKS; n += 1) {
      const startedAt = performance.now();
      try {
        const { instance, version } = await send("GET", path, { signal });
        instances.set(instance, { version, at: Date.now() });
        times.push(performance.now() - startedAt);
      } catch (error) {
        if (signal.aborted) return false;
        problem = error;
        // Do not wait for more time-outs of a service that is down.
        if (!times.length) break;
      }
    }
    for (const [instance, seen] of instances) if (Date.now() - seen.at > 2 * INTERVAL) instances.delete(instance);
    replace(health, describe(problem, times));
    return times.length > 0;
  }
  function describe(problem, times) {
    const versions = [...new Set([...instances.values()].map((seen) => seen.version).filter(Boolean))];
    const isDown = !times.length;
    const failed = CHECKS - times.length;
    const median = times.toSorted((one, other) => one - other)[Math.floor(times.length / 2)];
    return facts([
      ["Health", [badge(isDown ? "down" : "ok"), failed > 0 && !isDown && ` ${failed} of ${CHECKS} checks failed`]],
      ["Error", problem && problem.message],
      [
        "Replicas",
        instances.size ? h("span", null, `${instances.size}: `, [...instances.keys()].sort().join(", ")) : "none seen",
      ],
      ["Version", versions.join(", ") || null],
      ["Latency", isDown ? null : `${formatNumber(Math.round(median))} ms`],
    ]);
  }
  async function countRecords() {
    const since = new Date(Date.now() - MINUTES * 60_000).toISOString();
    try {
      const histogram = await call("GET", "/logs/histogram", { query: { service: name, since, bars: BARS }, signal });
      const { total, errors } = sumLevels(histogram.data);
      replace(
        chart,
        facts([
          [rateLabel, formatNumber(Math.round((total / MINUTES) * 10) / 10)],
          [
            "Errors",
            h("a", { href: linkTo("/admin/logs", { service: name, level: "ERROR", since }) }, formatNumber(errors)),
          ],
        ]),
        drawHistogram(histogram, { isSmall: true }),
      );
    } catch (problem) {
      if (!signal.aborted) replace(chart, h("p", { class: "faint" }, "Logs are unavailable."));
    }
  }
  const links = [
    h("a", { href: linkTo("/admin/logs", { service: name }) }, "Logs"),
    " · ",
    h("a", { href: linkTo("/admin/logs/live", { service: name }) }, "Live logs"),
    name === "gateway"
      ? null
      : [" · ", h("a", { href: `/docs?urls.primaryName=${name.replace("-service", "")}` }, "API")],
  ];
  return { node: card(name, health, chart, h("p", { class: "small" }, links)), check };
}
