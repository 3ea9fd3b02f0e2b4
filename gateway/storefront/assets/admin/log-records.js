// Log records as rows that expand to their attributes, related ids and surrounding records.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { linkTo } from "../lib/router.js";
import { badge, facts } from "./parts.js";
import { makeTable } from "./table.js";

const AROUND = 8;
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** Return a record as an expandable row; `note` follows the time, and `isMarked` highlights the row. */
export function recordRow(record, { signal, note, isMarked, onOpen } = {}) {
  const time = new Date(record.time);
  const body = h("div", { class: "record-body" });
  const row = h(
    "details",
    {
      class: `record record-${record.level.toLowerCase()} ${isMarked ? "record-marked" : ""}`,
      dataset: { id: record.id },
    },
    h(
      "summary",
      null,
      h(
        "time",
        { datetime: record.time, title: record.time },
        time.toDateString() === new Date().toDateString() ? null : `${DATE.format(time)} `,
        CLOCK.format(time),
      ),
      note && h("span", { class: "record-note" }, note),
      h("span", { class: "record-service" }, record.service),
      badge(record.level),
      h("span", { class: "record-message" }, record.message),
    ),
    body,
  );
  row.addEventListener("toggle", () => {
    if (!row.open) return;
    if (!body.childElementCount) body.append(...describe(record, signal));
    onOpen?.();
  });
  return row;
}

function describe(record, signal) {
  const logs = (query, text) => h("a", { href: linkTo("/admin/logs", query) }, text);
  const attributes = makeTable("Attributes of the record", [
    { title: "Attribute", kind: "main", cell: ([name]) => h("code", null, name) },
    { title: "Value", cell: ([, value]) => showValue(value) },
  ]);
  const entries = Object.entries(record.attributes).sort(([one], [other]) => (one < other ? -1 : 1));
  attributes.show(entries);
  return [
    record.message.length > 120 && h("p", null, record.message),
    facts([
      ["Time", h("code", null, record.time)],
      ["Service", logs({ service: record.service }, record.service)],
      ["Replica", record.instance],
      ["Request", record.request_id && logs({ request_id: record.request_id }, record.request_id)],
      ["Trace", record.trace_id && logs({ trace_id: record.trace_id }, record.trace_id)],
      [
        "Order",
        record.order_id && [
          h("a", { href: linkTo(`/admin/orders/${record.order_id}`) }, record.order_id),
          " (",
          logs({ order_id: record.order_id }, "trace"),
          ")",
        ],
      ],
    ]),
    entries.length > 0 && attributes.node,
    contextPart(record, signal),
  ].filter(Boolean);
}

function contextPart(record, signal) {
  const room = h("div", { class: "record-context", "aria-live": "polite" });
  const show = (of) =>
    load(
      room,
      () => call("GET", `/logs/${record.id}/context`, { query: { before: AROUND, after: AROUND, of }, signal }),
      ({ data }) => [
        h(
          "p",
          { class: "faint small" },
          of === "shop"
            ? "Surrounding records of all services, oldest first:"
            : `Surrounding records of ${record.instance ?? "this replica"}, oldest first:`,
        ),
        data.map((each) => recordRow(each, { signal, isMarked: each.id === record.id })),
      ],
      { skeleton: skeleton("lines", 4), signal },
    );
  return h(
    "div",
    null,
    h(
      "div",
      { class: "button-row" },
      h(
        "button",
        { class: "button", type: "button", onclick: () => show("instance") },
        icon("list"),
        "Surrounding records of this replica",
      ),
      h(
        "button",
        { class: "button", type: "button", onclick: () => show("shop") },
        icon("list"),
        "Surrounding records of all services",
      ),
    ),
    room,
  );
}

/** Return an attribute's value unformatted: a number may be an id, which has no separators. */
function showValue(value) {
  return h("span", { class: "value" }, typeof value === "string" ? value : JSON.stringify(value));
}
