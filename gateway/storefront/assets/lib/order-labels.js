// Labels of orders: statuses, events, reasons and addresses.
import { h } from "./dom.js";
import { toSentence } from "./labels.js";

const REASONS = {
  amount_changed: "The total changed before the order was placed.",
  cancelled_by_customer: "You cancelled this order.",
  cancelled_by_admin: "The shop cancelled this order.",
  payment_declined: "Your bank declined the payment. You were not charged.",
  out_of_stock: "Some items were out of stock. You were not charged.",
  product_unavailable: "Some items are no longer available. You were not charged.",
  variant_required: "Some items come in several variants, and none was chosen. You were not charged.",
  stock_lost: "The items sold out before we could complete your order. You will get a refund.",
  capture_failed: "We could not take the payment. You were not charged.",
  timed_out: "We could not complete your order in time. You were not charged.",
};

const EVENTS = {
  placed: "Order placed",
  stock_reserved: "Items reserved",
  payment_action_required: "Bank authentication required",
  payment_not_needed: "No payment needed",
  stock_committed: "Items allocated",
  refused: "Checkout failed",
  reservation_lapsed: "Reservation expired, items reserved again",
  cancel_requested: "Cancellation requested",
  cancelled: "Order cancelled",
  shipped: "Order shipped",
  delivered: "Order delivered",
  refunded: "Refund issued",
  restocked: "Items restocked",
};

/** Return an order's status as a badge. */
export function statusBadge(status) {
  return h("span", { class: `badge badge-${status}` }, toSentence(status));
}

/** Return the reason for a cancelled order for its customer; null without a reason. */
export function describeReason(reason) {
  return reason ? (REASONS[reason] ?? `${toSentence(reason)}.`) : null;
}

/** Return the label of an order's event. */
export function describeEvent({ kind }) {
  return EVENTS[kind] ?? toSentence(kind);
}

/** Return an address as lines of text, with the name of the country. */
export function describeAddress({ name, line1, line2, city, region, postal_code, country, phone }) {
  const place = [postal_code, city, region].filter(Boolean).join(" ");
  return [name, line1, line2, place, describeCountry(country), phone].filter(Boolean);
}

/** Return a country's name in the browser's language. */
export function describeCountry(code) {
  try {
    return new Intl.DisplayNames(undefined, { type: "region" }).of(code);
  } catch {
    return code;
  }
}
