// The logs as they come in, until somebody looks closer.
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { logFilters } from "./log-filters.js";
import { pageHead } from "./parts.js";
import { recordRow } from "./records.js";
import { followRecords } from "./stream.js";

// More than anybody scrolls through; older ones can be searched for.
const MOST_ROWS = 500;

export async function view({ query, signal }) {
  const state = h("p", { class: "live-state", role: "status" });
  const count = h("p", { class: "live-count faint" });
  const button = h("button", { class: "button button-primary", type: "button", onclick: () => pause(!isPaused) });
  const rows = h("div", {
    class: "records",
    role: "log",
    "aria-live": "off",
    "aria-label": "Log records, newest first",
    tabindex: "0",
  });
  const nothing = h(
    "div",
    null,
    emptyPanel("Nothing has come in yet", "What happens in the shop from now on stands here at once."),
  );
  const search = h("a", { class: "button" }, icon("search"), "Search instead");
  let turn = new AbortController();
  let connection = { name: "connecting" };
  let isPaused = false;
  let why = "";
  let seen = 0;
  // While paused: the newest come first, as on the page.
  let held = [];
  let heldInAll = 0;

  const filters = logFilters({ path: "/admin/logs/live", query, isTimed: false, onChange: begin });

  function begin(values) {
    turn.abort();
    turn = new AbortController();
    seen = 0;
    held = [];
    heldInAll = 0;
    rows.replaceChildren();
    nothing.hidden = false;
    search.href = linkTo("/admin/logs", values);
    connection = { name: "connecting" };
    tell();
    followRecords(values, {
      signal: AbortSignal.any([signal, turn.signal]),
      onRecords: take,
      onState: (now) => {
        connection = now;
        tell();
      },
    });
  }
  function take(records) {
    const newest = records.toReversed();
    if (isPaused) {
      held = [...newest, ...held].slice(0, MOST_ROWS);
      heldInAll += records.length;
    } else {
      show(newest);
    }
    tell();
  }
  function show(newest) {
    seen += newest.length;
    nothing.hidden = true;
    rows.prepend(...newest.slice(0, MOST_ROWS).map((record) => recordRow(record, { signal, onOpen: pauseToRead })));
    while (rows.childElementCount > MOST_ROWS) rows.lastElementChild.remove();
  }
  function pauseToRead() {
    if (!isPaused) pause(true, "so that you can read");
  }
  function pause(wanted, reason = "") {
    isPaused = wanted;
    why = reason;
    if (!isPaused && heldInAll) {
      const arrived = held;
      // All were seen to come in, though only the newest are shown.
      seen += heldInAll - arrived.length;
      held = [];
      heldInAll = 0;
      show(arrived);
    }
    tell();
  }
  function tell() {
    replace(button, icon(isPaused ? "play" : "pause"), isPaused ? resumeLabel() : "Pause");
    const older = seen > MOST_ROWS ? `; the newest ${formatNumber(MOST_ROWS)} are shown` : "";
    replace(count, `${formatNumber(seen)} so far${older}`);
    // What has not changed is not read out again.
    const [tone, text] = describe();
    if (state.textContent !== text)
      replace(state, h("span", { class: `dot dot-${tone}`, "aria-hidden": "true" }), text);
  }
  function resumeLabel() {
    return heldInAll ? `Go on, with ${formatNumber(heldInAll)} new` : "Go on";
  }
  function describe() {
    if (connection.name === "refused") return ["bad", connection.problem.message];
    if (connection.name === "waiting") return ["bad", describeWait(connection)];
    if (connection.name === "connecting") return ["info", "Connecting …"];
    if (isPaused) return ["info", why ? `Paused ${why}.` : "Paused."];
    return ["good", "Following."];
  }

  tell();
  begin(filters.values);
  return [
    pageHead("Live logs", { back: { path: "/admin/logs", text: "Logs" }, actions: search }),
    filters.node,
    h("div", { class: "live-bar" }, button, state, count),
    nothing,
    rows,
  ];
}

function describeWait({ problem, seconds, isGapless }) {
  const soon = `The next try is in ${seconds} s${isGapless ? "; nothing is missed" : ""}.`;
  if (!problem) return `The connection has ended, and is made anew. ${soon}`;
  if (problem.code === "streams_taken") return `As many as can follow the logs do so already. ${soon}`;
  if (problem.status === 429) return `That was too often. ${soon}`;
  return `The logs do not answer just now. ${soon}`;
}
