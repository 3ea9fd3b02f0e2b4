// What the page of an order is made of.
import { h, icon } from "../lib/dom.js";
import { formatAgo, formatMoney, formatTime } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { describeEvent, describeReason } from "../lib/words.js";
import { picture, recall } from "./catalog.js";

const STEPS = [
  ["Ordered", "box", ["pending", "awaiting_payment", "confirmed", "paid", "shipped", "delivered"]],
  ["Paid", "card", ["paid", "shipped", "delivered"]],
  ["Shipped", "truck", ["shipped", "delivered"]],
  ["Delivered", "home", ["delivered"]],
];

/** Return a part of the page with its heading. */
export function section(heading, ...content) {
  return h(
    "section",
    { class: "card card-body stack", "aria-label": heading },
    h("h2", null, heading),
    content,
  );
}

/** Return how far the order is, as steps; null if it goes no further. */
export function progress({ status }) {
  if (["cancelled", "refunded"].includes(status)) return null;
  const done = STEPS.filter(([, , statuses]) => statuses.includes(status)).length;
  return h(
    "ol",
    { class: "progress", "aria-label": "How far it is" },
    STEPS.map(([label, drawing], place) =>
      h(
        "li",
        { class: place < done ? "done" : null, "aria-current": place === done - 1 ? "step" : null },
        icon(drawing),
        h("span", null, label),
        h("span", { class: "visually-hidden" }, place < done ? " (done)" : " (to come)"),
      ),
    ),
  );
}

/** Return what the order's state means for its customer; null if that is plain. */
export function explain({ status, reason }) {
  if (status === "cancelled")
    return h(
      "p",
      { class: "note note-bad" },
      icon("info"),
      describeReason(reason) ?? "The order was cancelled.",
    );
  if (status === "refunded") return h("p", { class: "note" }, icon("info"), "Your money was given back.");
  if (status === "awaiting_payment") {
    return h(
      "p",
      { class: "note note-warn" },
      icon("bank"),
      "Your bank wants to hear from you within ten minutes. Until then the goods are set aside.",
    );
  }
  if (status === "pending")
    return h("p", { class: "note" }, icon("clock"), "We are seeing to your order. This page follows it.");
  return null;
}

/** Return an entry of the order's story. */
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

/** Return a line of the order. */
export function showItem(item, currency) {
  const id = item.product_id;
  return h(
    "li",
    { class: "cart-line" },
    h("div", { class: "cart-picture" }, picture(recall(id), { size: 56 })),
    h(
      "div",
      { class: "stack-tight" },
      h(
        "a",
        { class: "cart-title", href: linkTo(`/products/${id}`) },
        item.title ?? recall(id)?.title ?? `Product ${id}`,
      ),
      h("span", { class: "small faint" }, `Quantity ${item.quantity}`),
    ),
    h("span", { class: "number" }, formatMoney(item.amount, currency)),
  );
}

/** Return what it all costs, and what was given back. */
export function showSums(order) {
  const { currency } = order;
  const row = (label, amount, strong) =>
    h("div", { class: strong ? "total" : null }, h("dt", null, label), h("dd", { class: "number" }, amount));
  return [
    order.adjustments.map(({ title: label, amount }) => row(label, formatMoney(amount, currency))),
    row("Total", formatMoney(order.amount, currency), true),
    order.amount_refunded > 0 && row("Given back", formatMoney(order.amount_refunded, currency)),
  ];
}
