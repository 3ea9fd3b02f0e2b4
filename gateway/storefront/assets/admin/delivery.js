// A delivery of a webhook: its attempts, and what was sent and answered.
import { h } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { badge, moment } from "./parts.js";
import { makeTable } from "./table.js";

const COLUMNS = [
  { title: "Attempt", kind: "main", cell: ({ number }) => formatNumber(number) },
  { title: "Time", cell: ({ at }) => moment(at) },
  { title: "Result", cell: result },
  { title: "Status", kind: "number", cell: ({ status }) => status ?? "–" },
  { title: "Milliseconds", kind: "number", cell: ({ milliseconds }) => formatNumber(milliseconds) },
];

/** Show a delivery in a dialog. */
export function showDelivery(delivery) {
  const attempts = makeTable("Attempts, oldest first", COLUMNS);
  attempts.show(delivery.attempts);
  const answer = delivery.attempts.at(-1)?.answer;
  openDialog({
    title: `Delivery of ${delivery.type}`,
    kind: "dialog-wide",
    content: h(
      "div",
      { class: "stack" },
      h("p", { class: "small" }, "webhook-id ", h("code", { class: "value" }, delivery.id)),
      h("h3", null, "Attempts"),
      delivery.attempts.length ? attempts.node : h("p", { class: "faint" }, "None yet."),
      answer && [h("h3", null, "Last answer"), text("Last answer", answer)],
      h("h3", null, "Body"),
      text("Body", format(delivery.body)),
    ),
  });
}

function result({ result: verdict, error }) {
  return h("div", { class: "cell-lines" }, h("div", null, badge(verdict)), error && h("small", null, error));
}

// A long text scrolls, which keyboards can do only with the focus.
function text(name, content) {
  return h("pre", { class: "delivery-text", tabindex: "0", role: "region", "aria-label": name }, content);
}

/** Return JSON with indentation; a long body was cut, and is no JSON any more. */
function format(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
