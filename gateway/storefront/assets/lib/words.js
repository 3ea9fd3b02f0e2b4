// What the services' words mean, in a shopper's language.
import { h } from "./dom.js";

const STATUSES = {
  pending: "In progress",
  awaiting_payment: "Waiting for your bank",
  confirmed: "Confirmed",
  paid: "Paid",
  shipped: "Shipped",
  delivered: "Delivered",
  refunded: "Refunded",
  cancelled: "Cancelled",
};

const REASONS = {
  cancelled_by_customer: "You cancelled it.",
  cancelled_by_admin: "The shop cancelled it.",
  payment_declined: "The bank declined the payment. Nothing was charged.",
  out_of_stock: "There was not enough left. Nothing was charged.",
  product_unavailable: "Something in it is not for sale any more. Nothing was charged.",
  stock_lost: "The goods were sold out before it could be finished. Your money goes back.",
  capture_failed: "The money could not be taken. Nothing was charged.",
  timed_out: "It could not be finished in time. Nothing was charged.",
};

const EVENTS = {
  placed: "You placed the order",
  stock_reserved: "The goods are set aside for you",
  payment_action_required: "Your bank asks you to confirm the payment",
  payment_authorized: "The payment was approved",
  payment_not_needed: "There is nothing to pay",
  stock_committed: "The goods are yours",
  payment_captured: "The payment was taken",
  refused: "It could not go on",
  reservation_lapsed: "The goods are set aside anew",
  cancel_requested: "The order is being cancelled",
  payment_cancelled: "The payment was undone",
  cancelled: "The order was cancelled",
  shipped: "The parcel is on its way",
  delivered: "The parcel has arrived",
  refund_requested: "A refund was started",
  refunded: "Money was given back",
  refund_failed: "The refund could not be made",
  restocked: "The goods are back on the shelf",
};

/** Return an order's state as a badge. */
export function statusBadge(status) {
  return h("span", { class: `badge badge-${status}` }, describeStatus(status));
}

/** Return an order's state in words. */
export function describeStatus(status) {
  return STATUSES[status] ?? toSentence(status);
}

/** Return why an order was cancelled in words; null without a reason. */
export function describeReason(reason) {
  return reason ? (REASONS[reason] ?? `${toSentence(reason)}.`) : null;
}

/** Return what happened to an order in words. */
export function describeEvent({ kind }) {
  return EVENTS[kind] ?? toSentence(kind);
}

/** Return an address as lines of text, the country by its name. */
export function describeAddress({ name, line1, line2, city, region, postal_code, country }) {
  const place = [postal_code, city, region].filter(Boolean).join(" ");
  return [name, line1, line2, place, describeCountry(country)].filter(Boolean);
}

/** Return a country's name in the reader's language. */
export function describeCountry(code) {
  try {
    return new Intl.DisplayNames(undefined, { type: "region" }).of(code);
  } catch {
    return code;
  }
}

/** Return `an_identifier` as `An identifier`. */
export function toSentence(word) {
  const text = word.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return what an order holds in a line: `Frying pan × 2, Tea towels`. */
export function describeItems(items) {
  return items
    .map(
      ({ title, product_id, quantity }) =>
        `${title ?? `Product ${product_id}`}${quantity > 1 ? ` × ${quantity}` : ""}`,
    )
    .join(", ");
}

/** Return a number of things with the right word: `1 item`, `2 items`. */
export function countOf(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
