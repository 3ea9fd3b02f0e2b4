// The logs: search with a histogram, or the trace of an order or a request.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { countOf } from "../lib/labels.js";
import { linkTo, setTitle } from "../lib/router.js";
import { drawHistogram } from "./histogram.js";
import { findTrace, logFilters } from "./log-filters.js";
import { pageHead } from "./parts.js";
import { recordRow } from "./log-records.js";
import { shortId } from "./labels.js";

const PAGE = 50;
const MAX_TRACE = 300;
const BARS = 60;

export async function view({ query, signal }) {
  const chart = h("div", { class: "chart-room" });
  const count = h("p", { class: "list-count faint", role: "status" });
  const room = h("div", { class: "records" });
  const live = h("a", { class: "button" }, icon("play"), "Follow live");
  let turn = new AbortController();

  const filters = logFilters({ path: "/admin/logs", query, isTimed: true, onChange: show });
  const trace = findTrace(filters.values);
  const title = trace ? `Trace of ${trace[0]} ${shortId(trace[1])}` : "Logs";
  setTitle(title);

  function show(values) {
    turn.abort();
    turn = new AbortController();
    const both = AbortSignal.any([signal, turn.signal]);
    const { since: _since, until: _until, ...untimed } = values;
    live.href = linkTo("/admin/logs/live", untimed);
    count.textContent = "";
    if (trace) {
      showTrace(values, { count, room, signal: both });
      return;
    }
    load(
      chart,
      () => call("GET", "/logs/histogram", { query: { ...values, bars: BARS }, signal: both }),
      (histogram) =>
        drawHistogram(histogram, {
          // The default period of the histogram; the list has no such limit.
          title: values.since ? null : "Last hour: ",
          onChoose: (since, until) => filters.set({ ...values, since, until }),
        }),
      { skeleton: skeleton("lines", 2), signal: both },
    );
    showRecords(values, { count, room, signal: both });
  }
  show(filters.values);

  const order =
    trace?.[0] === "order" && h("a", { class: "button", href: linkTo(`/admin/orders/${trace[1]}`) }, "View order");
  return [pageHead(title, { actions: [order, live] }), filters.node, chart, count, room];
}

/** Show the newest records, with a button for older ones. */
function showRecords(values, { count, room, signal }) {
  const fetchPage = (cursor) => call("GET", "/logs", { query: { ...values, limit: PAGE, cursor }, signal });
  load(room, () => fetchPage(null), render, { skeleton: skeleton("rows", 8), signal });

  function render(page) {
    if (!page.data.length)
      return emptyPanel("No records match these filters", "Change the filters or choose a longer period.");
    let { next } = page;
    let shown = 0;
    const list = h("div");
    const more = h(
      "button",
      { class: "button list-more", type: "button", onclick: showMore },
      icon("down"),
      "Show older records",
    );
    append(page.data);

    function append(records) {
      list.append(...records.map((record) => recordRow(record, { signal })));
      shown += records.length;
      more.hidden = !next;
      count.textContent = `${next ? "First " : ""}${countOf(shown, "record")}, newest first`;
    }
    async function showMore() {
      if (more.getAttribute("aria-disabled")) return;
      more.setAttribute("aria-disabled", "true");
      try {
        const following = await fetchPage(next);
        ({ next } = following);
        append(following.data);
      } catch (problem) {
        if (!signal.aborted) toast(problem.message, { kind: "bad", action: { label: "Try again", run: showMore } });
      } finally {
        more.removeAttribute("aria-disabled");
      }
    }
    return [list, more];
  }
}

/** Show the records of a trace, oldest first, each with the time since the first one. */
function showTrace(values, { count, room, signal }) {
  async function read() {
    const records = [];
    let cursor = null;
    do {
      const page = await call("GET", "/logs", { query: { ...values, limit: 100, cursor }, signal });
      records.push(...page.data);
      cursor = page.next;
    } while (cursor && records.length < MAX_TRACE);
    return { records: records.reverse(), isWhole: !cursor };
  }
  load(
    room,
    read,
    ({ records, isWhole }) => {
      if (!records.length) {
        return emptyPanel("No records found", "They may arrive in a few seconds, or may have expired.");
      }
      const begin = Date.parse(records[0].time);
      const services = new Set(records.map((record) => record.service));
      count.textContent =
        `${countOf(records.length, "record")} from ${countOf(services.size, "service")}, oldest first` +
        `${isWhole ? "" : ". Older records are not shown"}`;
      return records.map((record) =>
        recordRow(record, { signal, note: `+${formatDuration(Date.parse(record.time) - begin)}` }),
      );
    },
    { skeleton: skeleton("rows", 8), signal },
  );
}

/** Format a duration in milliseconds. */
function formatDuration(milliseconds) {
  const units = [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ];
  const [unit, length] = units.find(([, size]) => milliseconds >= size) ?? ["ms", 1];
  const number = milliseconds / length;
  return `${formatNumber(unit === "ms" ? number : Number(number.toFixed(2)))} ${unit}`;
}
