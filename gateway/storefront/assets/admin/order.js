// One order: what it is, what happened to it, and what can be done with it.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { linkTo, setTitle } from "../lib/router.js";
import { aboutCard, addressCard, itemsCard, paymentCard, timelineCard } from "./order-cards.js";
import { badge, card, pageHead, refusalNote } from "./parts.js";
import { refundForm } from "./refund.js";
import { shortId } from "./words.js";

const ACTIONS = [
  {
    name: "ship",
    label: "Mark as shipped",
    icon: "truck",
    from: ["paid"],
    title: "Was this order sent?",
    text: "Once it is shipped it cannot be cancelled any more; money can still be given back.",
    done: "The order is shipped.",
  },
  {
    name: "deliver",
    label: "Mark as delivered",
    icon: "check",
    from: ["shipped"],
    title: "Has this order arrived?",
    text: "It is then done, unless money is given back.",
    done: "The order is delivered.",
  },
  {
    name: "cancel",
    label: "Cancel the order",
    icon: "close",
    danger: true,
    from: ["pending", "awaiting_payment", "confirmed", "paid"],
    title: "Cancel this order?",
    text: "All of the money goes back to the customer, and the goods are for sale again. This cannot be undone.",
    done: "The order is cancelled.",
  },
];
const REFUNDABLE = ["paid", "shipped", "delivered"];
// An order that was just told one of these goes on by itself.
const MOVING = [
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
const SOON = 1500;
const LATER = 5000;

export async function view({ params, signal }) {
  const { id } = params;
  setTitle(`Order ${shortId(id)}`);
  const mark = h("span");
  const notice = h("div", { class: "notice-room", tabindex: "-1" });
  const room = h("div");
  const [items, next, timeline, about] = [h("div"), h("div"), h("div"), h("div")];
  const columns = h("div", { class: "columns" }, h("div", null, items, next, timeline), about);
  const path = `/orders/${encodeURIComponent(id)}`;

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

  let offered = "";
  function show({ order, events }) {
    replace(mark, badge(order.status));
    replace(items, itemsCard(order));
    // What is being typed there stays, unless something else can be done now.
    const possible = [order.status, order.amount, order.amount_refunded].join();
    if (possible !== offered) replace(next, actionsCard(order, act, change));
    offered = possible;
    replace(timeline, timelineCard(events));
    replace(about, aboutCard(order, events), addressCard(order), paymentCard(order, signal));
    watch(order, events);
    return columns;
  }

  let looks = 0;
  /** Look again in a moment at an order that goes on by itself. */
  async function watch(order, events) {
    looks += 1;
    const look = looks;
    const isMoving = MOVING.includes(events.at(-1)?.kind);
    if (!isMoving && order.status !== "awaiting_payment") return;
    try {
      await wait(isMoving ? SOON : LATER, signal);
      if (look !== looks) return;
      const now = await read();
      if (look !== looks) return;
      // Whoever is about to press something keeps the focus, unless there is something to see.
      if (now.events.length === events.length && now.order.updated_at === order.updated_at) watch(order, events);
      else show(now);
    } catch {
      // The page was left, or the order could not be read just now: then what is shown stays for a while.
      if (!signal.aborted && look === looks) watch(order, events);
    }
  }

  async function act(action) {
    if (!(await askToConfirm({ ...action, action: action.label }))) return;
    await change(() => call("POST", `${path}/${action.name}`, { raw: true }), action.done);
  }

  /** Do something with the order, by a `send` that resolves to a Response, and show the order as it is then. */
  async function change(send, done) {
    replace(notice);
    try {
      const { status } = await send();
      // What was typed is done.
      offered = "";
      await refresh();
      toast(status === 202 ? "It is being worked on, and finishes by itself." : done, { kind: "good" });
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.name !== "Problem") throw problem;
      await refresh();
      replace(notice, refusal(problem));
    }
    if (signal.aborted) return;
    // The button that was pressed may be gone.
    if (notice.childElementCount) notice.focus();
    else head.querySelector("h1").focus({ preventScroll: true });
  }

  const head = pageHead(`Order ${shortId(id)}`, {
    back: { path: "/admin/orders", text: "Orders" },
    mark,
    actions: h(
      "a",
      { class: "button", href: linkTo("/admin/logs", { order_id: id }) },
      icon("list"),
      "Its story in the logs",
    ),
  });
  load(room, read, show, { skeleton: skeleton("rows", 8), signal });
  return [head, notice, room];
}

function refusal(problem) {
  const lost = problem.status === 0 || problem.status >= 500;
  const text = lost
    ? "No answer came, so it may have happened or not: the timeline tells. Doing it once more is harmless."
    : problem.message;
  return refusalNote(text);
}

function actionsCard(order, act, change) {
  const possible = ACTIONS.filter((action) => action.from.includes(order.status));
  const left = (order.amount ?? 0) - order.amount_refunded;
  const isRefundable = REFUNDABLE.includes(order.status) && left > 0;
  if (!possible.length && !isRefundable) {
    const text = {
      cancelled: "The order is cancelled; nothing is left to be done.",
      refunded: "All of the money was given back; nothing is left to be done.",
    }[order.status];
    return card("What next", h("p", { class: "faint" }, text ?? "Nothing is left to be done."));
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
    "What next",
    buttons.length > 0 && h("div", { class: "button-row" }, buttons),
    isRefundable && refundForm(order, left, change),
  );
}
