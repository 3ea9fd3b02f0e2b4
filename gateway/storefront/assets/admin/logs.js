// What was logged: searched, counted over time, or read as the story of an order, a request or a trace.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { linkTo, setTitle } from "../lib/router.js";
import { drawHistogram } from "./histogram.js";
import { findThread, logFilters } from "./log-filters.js";
import { pageHead } from "./parts.js";
import { recordRow } from "./records.js";
import { shortId } from "./words.js";

const PAGE = 50;
const LONGEST_STORY = 300;
const BARS = 60;

export async function view({ query, signal }) {
  const chart = h("div", { class: "chart-room" });
  const count = h("p", { class: "list-count faint", role: "status" });
  const room = h("div", { class: "records" });
  const live = h("a", { class: "button" }, icon("play"), "Follow live");
  let turn = new AbortController();

  const filters = logFilters({ path: "/admin/logs", query, isTimed: true, onChange: show });
  const thread = findThread(filters.values);
  const title = thread ? `The story of ${thread[0]} ${shortId(thread[1])}` : "Logs";
  setTitle(title);

  function show(values) {
    turn.abort();
    turn = new AbortController();
    const both = AbortSignal.any([signal, turn.signal]);
    const { since: _since, until: _until, ...untimed } = values;
    live.href = linkTo("/admin/logs/live", untimed);
    count.textContent = "";
    if (thread) {
      showStory(values, { count, room, signal: both });
      return;
    }
    load(
      chart,
      () => call("GET", "/logs/histogram", { query: { ...values, bars: BARS }, signal: both }),
      (histogram) =>
        drawHistogram(histogram, {
          // The list goes back as far as there are records; without a beginning the chart does not.
          title: values.since ? null : "The last hour: ",
          onChoose: (since, until) => filters.set({ ...values, since, until }),
        }),
      { skeleton: skeleton("lines", 2), signal: both },
    );
    showRecords(values, { count, room, signal: both });
  }
  show(filters.values);

  const order =
    thread?.[0] === "order" && h("a", { class: "button", href: linkTo(`/admin/orders/${thread[1]}`) }, "The order");
  return [pageHead(title, { actions: [order, live] }), filters.node, chart, count, room];
}

/** Show the newest records, and older ones on request. */
function showRecords(values, { count, room, signal }) {
  const fetchPage = (cursor) => call("GET", "/logs", { query: { ...values, limit: PAGE, cursor }, signal });
  load(room, () => fetchPage(null), render, { skeleton: skeleton("rows", 8), signal });

  function render(page) {
    if (!page.data.length) return emptyPanel("No record fits", "Nothing of the kind was logged, or not in this time.");
    let { next } = page;
    let shown = 0;
    const list = h("div");
    const more = h(
      "button",
      { class: "button list-more", type: "button", onclick: showMore },
      icon("down"),
      "Show older ones",
    );
    append(page.data);

    function append(records) {
      list.append(...records.map((record) => recordRow(record, { signal })));
      shown += records.length;
      more.hidden = !next;
      count.textContent = `${formatNumber(shown)} records, newest first${next ? "; there are more" : ""}`;
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

/** Show what belongs together from its beginning, each record with the time that had gone by. */
function showStory(values, { count, room, signal }) {
  async function read() {
    const records = [];
    let cursor = null;
    do {
      const page = await call("GET", "/logs", { query: { ...values, limit: 100, cursor }, signal });
      records.push(...page.data);
      cursor = page.next;
    } while (cursor && records.length < LONGEST_STORY);
    return { records: records.reverse(), isWhole: !cursor };
  }
  load(
    room,
    read,
    ({ records, isWhole }) => {
      if (!records.length) {
        return emptyPanel("Nothing is known of it", "Its records may still be on their way, or too old to be kept.");
      }
      const begin = Date.parse(records[0].time);
      const services = new Set(records.map((record) => record.service));
      count.textContent =
        `${formatNumber(records.length)} records of ${formatNumber(services.size)} services, oldest first` +
        `${isWhole ? "" : "; older ones are left out"}`;
      return records.map((record) =>
        recordRow(record, { signal, note: `+${describeSpan(Date.parse(record.time) - begin)}` }),
      );
    },
    { skeleton: skeleton("rows", 8), signal },
  );
}

/** Return a length of time, in milliseconds, as people write it. */
function describeSpan(milliseconds) {
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
