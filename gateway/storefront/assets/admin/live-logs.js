// The live tail of the logs.
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { logFilters } from "./log-filters.js";
import { recordRow } from "./log-records.js";
import { followRecords } from "./log-stream.js";
import { pageHead } from "./parts.js";

const MAX_ROWS = 500;

export async function view({ query, signal }) {
  const state = h("p", { class: "live-state", role: "status" });
  const count = h("p", { class: "faint" });
  const button = h("button", { class: "button button-primary", type: "button", onclick: () => pause(!isPaused) });
  const rows = h("div", {
    class: "records",
    role: "log",
    "aria-live": "off",
    "aria-label": "Log records, newest first",
    tabindex: "0",
  });
  const empty = h("div", null, emptyPanel("No records yet", "New records appear here as they are logged."));
  const search = h("a", { class: "button" }, icon("search"), "Search logs");
  let turn = new AbortController();
  let connection = { name: "connecting" };
  let isPaused = false;
  let received = 0;
  // The records that arrived during a pause: the newest of them, newest first, and the number of all.
  let buffer = [];
  let buffered = 0;

  const filters = logFilters({ path: "/admin/logs/live", query, isTimed: false, onChange: begin });

  function begin(values) {
    turn.abort();
    turn = new AbortController();
    received = 0;
    buffer = [];
    buffered = 0;
    rows.replaceChildren();
    empty.hidden = false;
    search.href = linkTo("/admin/logs", values);
    connection = { name: "connecting" };
    update();
    followRecords(values, {
      signal: AbortSignal.any([signal, turn.signal]),
      onRecords: take,
      onState: (newState) => {
        connection = newState;
        update();
      },
    });
  }
  function take(records) {
    const newest = records.toReversed();
    if (isPaused) {
      buffer = [...newest, ...buffer].slice(0, MAX_ROWS);
      buffered += records.length;
    } else {
      received += records.length;
      show(newest);
    }
    update();
  }
  function show(newest) {
    empty.hidden = true;
    rows.prepend(
      ...newest.slice(0, MAX_ROWS).map((record) => recordRow(record, { signal, onOpen: () => pause(true) })),
    );
    while (rows.childElementCount > MAX_ROWS) rows.lastElementChild.remove();
  }
  function pause(wanted) {
    isPaused = wanted;
    if (!isPaused && buffered) {
      received += buffered;
      show(buffer);
      buffer = [];
      buffered = 0;
    }
    update();
  }
  function update() {
    const resume = buffered ? `Resume (${formatNumber(buffered)} new)` : "Resume";
    replace(button, icon(isPaused ? "play" : "pause"), isPaused ? resume : "Pause");
    const limit = received > MAX_ROWS ? `, newest ${formatNumber(MAX_ROWS)} shown` : "";
    replace(count, `${formatNumber(received)} received${limit}`);
    // A screen reader would announce an unchanged text again.
    const [tone, text] = describe();
    if (state.textContent !== text)
      replace(state, h("span", { class: `dot dot-${tone}`, "aria-hidden": "true" }), text);
  }
  function describe() {
    if (connection.name === "refused") return ["bad", connection.problem.message];
    if (connection.name === "waiting") return ["bad", describeWait(connection)];
    if (connection.name === "connecting") return ["info", "Connecting…"];
    if (isPaused) return ["info", "Paused."];
    return ["good", "Following."];
  }

  begin(filters.values);
  return [
    pageHead("Live logs", { back: { path: "/admin/logs", text: "Logs" }, actions: search }),
    filters.node,
    h("div", { class: "live-bar" }, button, state, count),
    empty,
    rows,
  ];
}

function describeWait({ problem, seconds, isGapless }) {
  const retry = `Retrying in ${seconds} s${isGapless ? "; no records will be missed" : ""}.`;
  if (!problem) return `Disconnected. ${retry}`;
  if (problem.code === "streams_taken") return `The limit of live connections is reached. ${retry}`;
  if (problem.status === 429) return `Too many requests. ${retry}`;
  return `Logs are unavailable. ${retry}`;
}
