// The parts of an order's page.
import { h, icon } from "../lib/dom.js";
import { formatAgo, formatMoney, formatTime } from "../lib/format.js";
import { describeEvent, describeReason } from "../lib/order-labels.js";
import { listTotals } from "../lib/totals.js";
import { linkToLine, picture, recallLine } from "./catalog.js";
import { nameOf } from "./drawer.js";

const STEPS = [
  ["Ordered", "box", ["pending", "awaiting_payment", "confirmed", "paid", "shipped", "delivered"]],
  ["Paid", "card", ["paid", "shipped", "delivered"]],
  ["Shipped", "truck", ["shipped", "delivered"]],
  ["Delivered", "home", ["delivered"]],
];

/** Return a card with a heading. */
export function section(heading, ...content) {
  return h(
    "section",
    { class: "card card-body stack", "aria-label": heading },
    h("h2", null, heading),
    content,
  );
}

/** Return the progress of an order as steps; null for a cancelled or refunded order. */
export function progress({ status }) {
  if (["cancelled", "refunded"].includes(status)) return null;
  const done = STEPS.filter(([, , statuses]) => statuses.includes(status)).length;
  return h(
    "ol",
    { class: "progress", "aria-label": "Order progress" },
    STEPS.map(([label, drawing], place) =>
      h(
        "li",
        { class: place < done ? "done" : null, "aria-current": place === done - 1 ? "step" : null },
        icon(drawing),
        h("span", null, label),
        h("span", { class: "visually-hidden" }, place < done ? " (completed)" : " (upcoming)"),
      ),
    ),
  );
}

/** Return a note that explains the order's status to the customer; null if it needs no explanation. */
export function explain({ status, reason }) {
  if (status === "cancelled")
    return h(
      "p",
      { class: "note note-bad" },
      icon("info"),
      describeReason(reason) ?? "The order was cancelled.",
    );
  if (status === "refunded") return h("p", { class: "note" }, icon("info"), "Your payment was refunded.");
  if (status === "awaiting_payment") {
    return h(
      "p",
      { class: "note note-warn" },
      icon("bank"),
      "Confirm the payment with your bank within ten minutes. Your items are reserved until then.",
    );
  }
  if (status === "pending")
    return h(
      "p",
      { class: "note" },
      icon("clock"),
      "We are processing your order. This page updates automatically.",
    );
  return null;
}

/** Return an entry of the order's timeline. */
export function showEvent(event) {
  return h(
    "li",
    null,
    h("span", null, describeEvent(event)),
    event.kind === "refused" && h("span", { class: "small faint" }, describeReason(event.detail)),
    h(
      "time",
      { class: "small faint", datetime: event.time, title: formatTime(event.time) },
      formatAgo(event.time),
    ),
  );
}

/** Return an item of the order. */
export function showItem(item, currency) {
  return h(
    "li",
    { class: "cart-line" },
    h("div", { class: "cart-picture" }, picture(recallLine(item), { size: 56 })),
    h(
      "div",
      { class: "stack-tight" },
      h("a", { class: "cart-title", href: linkToLine(item) }, nameOf(item)),
      h("span", { class: "small faint" }, `Quantity ${item.quantity}`),
    ),
    h("span", { class: "number" }, formatMoney(item.amount, currency)),
  );
}

/** Return the totals of a cart or an order, with refunds, as the rows of a `dl`. */
export function showSums({ amount_refunded: refunded = 0, ...priced }) {
  const rows = listTotals(priced);
  if (refunded > 0) rows.push({ label: "Refunded", value: formatMoney(refunded, priced.currency) });
  return rows.map(({ label, value, isTotal }) =>
    h("div", { class: isTotal ? "total" : null }, h("dt", null, label), h("dd", { class: "number" }, value)),
  );
}
