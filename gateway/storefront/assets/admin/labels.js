// Labels and tones for statuses, and helpers for ids and usernames, in the back office.

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

// The label and tone of each status; the style sheet has a colour for each tone.
const STATUSES = {
  pending: ["Pending", "info"],
  awaiting_payment: ["Awaiting payment", "info"],
  confirmed: ["Confirmed", "info"],
  planned: ["Planned", "info"],
  paid: ["Paid", "warn"],
  shipped: ["Shipped", "good"],
  delivered: ["Delivered", "good"],
  refunded: ["Refunded", "quiet"],
  cancelled: ["Cancelled", "quiet"],
  processing: ["Processing", "info"],
  requires_action: ["Requires authentication", "info"],
  requires_payment_method: ["Declined", "quiet"],
  requires_capture: ["Authorized", "info"],
  succeeded: ["Captured", "good"],
  canceled: ["Cancelled", "quiet"],
  ok: ["Healthy", "good"],
  down: ["Down", "bad"],
  running: ["Running", "info"],
  done: ["Done", "good"],
  failed: ["Failed", "bad"],
  refused: ["Refused", "bad"],
  abandoned: ["Abandoned", "bad"],
  disabled: ["Disabled", "bad"],
  active: ["Active", "good"],
  off: ["Switched off", "quiet"],
  failing: ["Failing", "warn"],
  waiting: ["Waiting", "info"],
  sent: ["Sent", "good"],
  dead: ["Dead", "bad"],
  unreachable: ["Unreachable", "bad"],
  not_started: ["Not started", "info"],
  ended: ["Ended", "quiet"],
  used_up: ["Used up", "warn"],
  waiting: ["Waiting", "info"],
  sent: ["Sent", "good"],
  kept: ["Kept", "quiet"],
  dead: ["Not sent", "bad"],
  TRACE: ["Trace", "quiet"],
  DEBUG: ["Debug", "quiet"],
  INFO: ["Info", "plain"],
  WARNING: ["Warning", "warn"],
  ERROR: ["Error", "bad"],
  CRITICAL: ["Critical", "bad"],
};

/** Return the label and tone of a status; an unknown status is its own label. */
export function describeStatus(status) {
  return STATUSES[status] ?? [status, "plain"];
}

/** Shorten a UUID to its end, which tells ids apart; its beginning is a timestamp. */
export function shortId(id) {
  return `…${id.slice(-8)}`;
}

/** Return a user's name; a guest is named by the id. */
export function nameUser(user) {
  return user.role === "guest" ? `Guest ${shortId(user.id)}` : user.username;
}

/** Return whether a text is a UUID. */
export function isId(text) {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
