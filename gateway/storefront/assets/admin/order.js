// One order, with its timeline and the actions on it.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { linkTo, setTitle } from "../lib/router.js";
import { addressCard, detailsCard, itemsCard, paymentCard, timelineCard } from "./order-cards.js";
import { orderMails } from "./order-mails.js";
import { badge, card, errorNote, pageHead } from "./parts.js";
import { refundForm } from "./refund.js";
import { may } from "./roles.js";
import { shortId } from "./labels.js";

const ACTIONS = [
  {
    name: "ship",
    label: "Mark as shipped",
    icon: "truck",
    from: ["paid"],
    title: "Mark this order as shipped?",
    text: "You cannot cancel a shipped order, but you can still refund it.",
    done: "Order marked as shipped.",
  },
  {
    name: "deliver",
    label: "Mark as delivered",
    icon: "check",
    from: ["shipped"],
    title: "Mark this order as delivered?",
    text: "This completes the order. You can still refund it.",
    done: "Order marked as delivered.",
  },
  {
    name: "cancel",
    label: "Cancel order",
    icon: "close",
    danger: true,
    from: ["pending", "awaiting_payment", "confirmed", "paid"],
    title: "Cancel this order?",
    text: "The customer gets a full refund, and the items return to stock. This cannot be undone.",
    done: "Order cancelled.",
  },
];
const REFUNDABLE = ["paid", "shipped", "delivered"];
// After one of these events the order proceeds without an action.
const IN_PROGRESS = [
  "placed",
  "stock_reserved",
  "payment_authorized",
  "stock_committed",
  "payment_not_needed",
  "reservation_lapsed",
  "refused",
  "cancel_requested",
  "payment_cancelled",
  "refund_requested",
];
// Milliseconds between two polls: of an order in progress, and of one that waits for its customer.
const BUSY_PAUSE = 1500;
const LONG_PAUSE = 5000;

export async function view({ params, signal }) {
  const { id } = params;
  setTitle(`Order ${shortId(id)}`);
  const status = h("span");
  const notice = h("div", { class: "notice-room", tabindex: "-1" });
  const room = h("div");
  const [items, actions, timeline, details] = [h("div"), h("div"), h("div"), h("div")];
  const mails = orderMails(id, signal);
  const columns = h("div", { class: "columns" }, h("div", null, items, actions, timeline, mails.node), details);
  const path = `/orders/${encodeURIComponent(id)}`;
  const requested = new Set();

  const read = async () => {
    const [order, events] = await Promise.all([
      call("GET", path, { signal }),
      call("GET", `${path}/events`, { signal }),
    ]);
    return { order, events: events.data };
  };
  const refresh = async () => {
    try {
      show(await read());
    } catch (problem) {
      if (!signal.aborted) toast(problem.message, { kind: "bad", action: { label: "Try again", run: refresh } });
    }
  };

  let shownActions = "";
  let shownEvents = 0;
  function show({ order, events }) {
    if (order.number) {
      head.querySelector("h1").textContent = `Order ${order.number}`;
      setTitle(`Order ${order.number}`);
    }
    replace(status, badge(order.status));
    replace(items, itemsCard(order, requested, signal));
    // The card keeps the input of the admin, unless other actions are possible now.
    const possibleActions = [order.status, order.amount, order.amount_refunded].join();
    if (possibleActions !== shownActions) replace(actions, actionsCard(order, act, change));
    shownActions = possibleActions;
    replace(timeline, timelineCard(events));
    replace(
      details,
      detailsCard(order, events),
      addressCard("Shipping address", order.shipping_address),
      order.billing_address && addressCard("Billing address", order.billing_address),
      order.note && card("Note of the customer", h("p", { class: "written" }, order.note)),
      paymentCard(order, signal),
    );
    // An event may have a mail.
    if (shownEvents && shownEvents !== events.length) mails.refresh();
    shownEvents = events.length;
    watch(order, events);
    return columns;
  }

  let polls = 0;
  /** Poll an order that proceeds without an action. */
  async function watch(order, events) {
    polls += 1;
    const poll = polls;
    const isInProgress = IN_PROGRESS.includes(events.at(-1)?.kind);
    if (!isInProgress && order.status !== "awaiting_payment") return;
    try {
      await wait(isInProgress ? BUSY_PAUSE : LONG_PAUSE, signal);
      if (poll !== polls) return;
      const now = await read();
      if (poll !== polls) return;
      // Rendering drops the focus, so an unchanged order is not rendered again.
      if (now.events.length === events.length && now.order.updated_at === order.updated_at) watch(order, events);
      else show(now);
    } catch {
      // The admin left the page, or the order could not be fetched this time.
      if (!signal.aborted && poll === polls) watch(order, events);
    }
  }

  async function act(action) {
    if (!(await askToConfirm({ ...action, action: action.label }))) return;
    await change(() => call("POST", `${path}/${action.name}`, { raw: true }), action.done);
  }

  /** Change the order with `send`, which resolves to a Response, and show the new state. */
  async function change(send, done) {
    replace(notice);
    try {
      const { status } = await send();
      // Render the actions again, which clears their input.
      shownActions = "";
      await refresh();
      toast(status === 202 ? "Change in progress. It will complete shortly." : done, { kind: "good" });
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.name !== "Problem") throw problem;
      await refresh();
      replace(notice, errorNote(describeProblem(problem)));
    }
    if (signal.aborted) return;
    // The pressed button may no longer exist.
    if (notice.childElementCount) notice.focus();
    else head.querySelector("h1").focus({ preventScroll: true });
  }

  const head = pageHead(`Order ${shortId(id)}`, {
    back: { path: "/admin/orders", text: "Orders" },
    status,
    actions:
      may("logs") &&
      h("a", { class: "button", href: linkTo("/admin/logs", { order_id: id }) }, icon("list"), "Trace in logs"),
  });
  load(room, read, show, { skeleton: skeleton("rows", 8), signal });
  return [head, notice, room];
}

function describeProblem({ status, message }) {
  return status === 0 || status >= 500
    ? "No response, so the change may or may not have been made. Check the timeline. It is safe to try again."
    : message;
}

function actionsCard(order, act, change) {
  const possible = ACTIONS.filter((action) => action.from.includes(order.status));
  const refundable = (order.amount ?? 0) - order.amount_refunded;
  const isRefundable = REFUNDABLE.includes(order.status) && refundable > 0;
  if (!possible.length && !isRefundable) {
    const text = {
      cancelled: "This order is cancelled. No actions are available.",
      refunded: "This order is fully refunded. No actions are available.",
    }[order.status];
    return card("Actions", h("p", { class: "faint" }, text ?? "No actions are available."));
  }
  const buttons = possible.map((action) =>
    h(
      "button",
      {
        class: `button ${action.danger ? "button-danger" : "button-primary"}`,
        type: "button",
        onclick: () => act(action),
      },
      icon(action.icon),
      action.label,
    ),
  );
  return card(
    "Actions",
    buttons.length > 0 && h("div", { class: "button-row" }, buttons),
    isRefundable && refundForm(order, refundable, change),
  );
}
