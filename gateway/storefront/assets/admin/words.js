// What states, events and reasons are called in the back office. A word that is not here is shown as it is.

export const ORDER_STATUSES = [
  "pending",
  "awaiting_payment",
  "confirmed",
  "paid",
  "shipped",
  "delivered",
  "refunded",
  "cancelled",
];
export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];
export const SERVICES = ["auth-service", "catalog-service", "orders-service", "payments-service", "logs-service"];

// Each status with its word, and its tone, which the style sheet turns into a colour.
const STATUSES = {
  pending: ["Pending", "info"],
  awaiting_payment: ["Awaiting payment", "info"],
  confirmed: ["Confirmed", "info"],
  paid: ["Paid", "warn"],
  shipped: ["Shipped", "good"],
  delivered: ["Delivered", "good"],
  refunded: ["Refunded", "quiet"],
  cancelled: ["Cancelled", "quiet"],
  processing: ["Processing", "info"],
  requires_action: ["Waits for the bank", "info"],
  requires_payment_method: ["Declined", "quiet"],
  requires_capture: ["Authorized", "info"],
  succeeded: ["Captured", "good"],
  canceled: ["Canceled", "quiet"],
  ok: ["Healthy", "good"],
  down: ["Does not answer", "bad"],
  running: ["Running", "info"],
  done: ["Done", "good"],
  failed: ["Failed", "bad"],
  refused: ["Refused", "bad"],
  abandoned: ["Abandoned", "bad"],
  disabled: ["Disabled", "bad"],
  active: ["Active", "good"],
  TRACE: ["Trace", "quiet"],
  DEBUG: ["Debug", "quiet"],
  INFO: ["Info", "plain"],
  WARNING: ["Warning", "warn"],
  ERROR: ["Error", "bad"],
  CRITICAL: ["Critical", "bad"],
};

const EVENTS = {
  placed: "The order was placed",
  stock_reserved: "Stock is held",
  payment_authorized: "The payment is authorized",
  payment_action_required: "The bank asks for the customer",
  payment_not_needed: "There is nothing to pay",
  stock_committed: "The stock is sold",
  payment_captured: "The money was taken",
  reservation_lapsed: "The hold on the stock had lapsed, so it is held again",
  refused: "The checkout was refused",
  cancel_requested: "Somebody asked to cancel",
  payment_cancelled: "The payment was canceled",
  cancelled: "The order is cancelled",
  shipped: "The order was shipped",
  delivered: "The order has arrived",
  refund_requested: "A refund was asked for",
  refunded: "Money was given back",
  refund_failed: "The refund failed",
  restocked: "The goods are back in stock",
};

const REASONS = {
  out_of_stock: "there was not enough stock",
  product_unavailable: "a product was not for sale any more",
  payment_declined: "the payment was declined",
  payment_closed: "the payment was closed",
  timed_out: "it was not finished in time",
  stock_lost: "the stock was lost before it could be sold",
  reservation_lost: "the stock could not be held",
  capture_failed: "the authorized money could not be taken",
  cancelled_by_customer: "the customer cancelled it",
  cancelled_by_admin: "an admin cancelled it",
};

/** Return a status's word and tone. */
export function describeStatus(status) {
  return STATUSES[status] ?? [status, "plain"];
}

/** Return a sentence about an event of an order. */
export function describeEvent(kind) {
  return EVENTS[kind] ?? kind.replaceAll("_", " ");
}

/** Return why an order was cancelled, as the end of a sentence. */
export function describeReason(reason) {
  return REASONS[reason] ?? reason.replaceAll("_", " ");
}

/** Return the end of a UUID, by which people tell two of them apart; its beginning is only a time. */
export function shortId(id) {
  return `…${id.slice(-8)}`;
}

/** Return what a user is called; a guest has no name but an id. */
export function nameUser(user) {
  return user.role === "guest" ? `Guest ${shortId(user.id)}` : user.username;
}

/** Tell whether a text is a UUID. */
export function isId(text) {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
