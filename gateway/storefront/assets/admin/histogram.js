// A histogram of log records as SVG, with a table of the same numbers for screen readers.
import { h } from "../lib/dom.js";
import { formatNumber, formatTime } from "../lib/format.js";
import { countOf } from "../lib/labels.js";
import { makeTable } from "./table.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 100;
const WIDTH = 10; // Of a bar with its gap.
const GAP = 1;

// Stacked in this order, from the bottom to the top.
const TONES = [
  ["quiet", ["TRACE", "DEBUG", "INFO"], "Info"],
  ["warning", ["WARNING"], "Warnings"],
  ["error", ["ERROR", "CRITICAL"], "Errors"],
];

/**
 * Return a chart of GET /logs/histogram with a title; `onChoose(since, until)` is called when a bar is
 * clicked. A small chart has no visible text.
 */
export function drawHistogram(histogram, { title, onChoose, isSmall = false } = {}) {
  const bars = fillGaps(histogram);
  const highest = Math.max(...bars.map((bar) => bar.total), 1);
  const sums = sumLevels(histogram.data);
  const svg = element("svg", {
    class: "histogram-bars",
    viewBox: `0 0 ${bars.length * WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": `${describeSums(sums)} Peak: ${formatNumber(highest)}.`,
  });
  bars.forEach((bar, number) => svg.append(drawBar(bar, number, highest, onChoose)));
  if (isSmall) return h("div", { class: "histogram histogram-small" }, svg);
  return h(
    "figure",
    { class: "histogram" },
    h(
      "figcaption",
      {},
      h("span", {}, title, describeSums(sums)),
      h("span", { class: "faint" }, `${formatSeconds(histogram.seconds)} per bar, peak ${formatNumber(highest)}`),
    ),
    svg,
    h(
      "div",
      { class: "histogram-axis", "aria-hidden": "true" },
      h("span", {}, formatTime(histogram.since)),
      h("span", {}, formatTime(histogram.until)),
    ),
    histogram.complete ? null : h("p", { class: "faint" }, "Only the newest 50,000 records are counted."),
    histogram.data.length ? drawTable(histogram, onChoose) : null,
  );
}

/** Return `{total, warnings, errors}` of a histogram's bars. */
export function sumLevels(bars) {
  const count = (levels) =>
    bars.reduce((sum, bar) => sum + levels.reduce((part, level) => part + (bar.levels[level] ?? 0), 0), 0);
  return {
    total: bars.reduce((sum, bar) => sum + bar.total, 0),
    warnings: count(["WARNING"]),
    errors: count(["ERROR", "CRITICAL"]),
  };
}

function describeSums({ total, warnings, errors }) {
  return `${countOf(total, "record")}, ${countOf(warnings, "warning")}, ${countOf(errors, "error")}.`;
}

/** Return a bar for each interval; the service skips intervals without records. */
function fillGaps({ data, since, until, seconds }) {
  const byTime = new Map(data.map((bar) => [Date.parse(bar.time), bar]));
  const step = seconds * 1000;
  const bars = [];
  for (let time = Math.floor(Date.parse(since) / step) * step; time < Date.parse(until); time += step) {
    bars.push(byTime.get(time) ?? { time: new Date(time).toISOString(), total: 0, levels: {} });
  }
  return bars.map((bar) => ({ ...bar, end: new Date(Date.parse(bar.time) + step).toISOString() }));
}

function drawBar(bar, number, highest, onChoose) {
  const group = element("g", { class: "bar" });
  // The whole column is clickable, so that a low bar is a large enough target.
  group.append(element("rect", { class: "bar-room", x: number * WIDTH, y: 0, width: WIDTH, height: HEIGHT }));
  let y = HEIGHT;
  for (const [tone, levels] of TONES) {
    const count = levels.reduce((sum, level) => sum + (bar.levels[level] ?? 0), 0);
    if (!count) continue;
    // The minimum height keeps one error among ten thousand records visible.
    const height = Math.max((count / highest) * HEIGHT, 3);
    y -= height;
    group.append(element("rect", { class: `bar-${tone}`, x: number * WIDTH, y, width: WIDTH - GAP, height }));
  }
  const title = element("title", {});
  title.textContent = `${formatTime(bar.time)}: ${describeSums(sumLevels([bar]))}`;
  group.append(title);
  if (onChoose) group.addEventListener("click", () => onChoose(bar.time, bar.end));
  return group;
}

function drawTable({ data, seconds }, onChoose) {
  const end = (bar) => new Date(Date.parse(bar.time) + seconds * 1000).toISOString();
  const numbers = TONES.map(([, levels, title]) => ({
    title,
    kind: "number",
    cell: (bar) => formatNumber(levels.reduce((sum, level) => sum + (bar.levels[level] ?? 0), 0)),
  }));
  const when = {
    title: "From",
    cell: (bar) =>
      onChoose
        ? h(
            "button",
            { type: "button", class: "button-link", onclick: () => onChoose(bar.time, end(bar)) },
            formatTime(bar.time),
          )
        : formatTime(bar.time),
  };
  const table = makeTable("Log records over time", [when, ...numbers]);
  const details = h("details", {}, h("summary", {}, "Show as table"), table.node);
  details.addEventListener("toggle", () => table.show(data), { once: true });
  return details;
}

function formatSeconds(seconds) {
  const [unit, length] = [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
  ].find(([, size]) => seconds % size === 0) ?? ["second", 1];
  return countOf(seconds / length, unit);
}

function element(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
