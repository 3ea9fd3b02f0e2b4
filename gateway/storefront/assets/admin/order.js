// One order: what it is, what happened to it, and what can be done with it.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { linkTo, setTitle } from "../lib/router.js";
import { badge, card, facts, idLink, moment, pageHead, refusalNote } from "./parts.js";
import { refundForm } from "./refund.js";
import { makeTable } from "./table.js";
import { describeEvent, describeReason, isId, shortId } from "./words.js";

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
  "placed", "stock_reserved", "payment_authorized", "stock_committed", "payment_not_needed", "reservation_lapsed",
  "refused", "cancel_requested", "payment_cancelled", "refund_requested",
];
const SOON = 1500;
const LATER = 5000;

export async function view({ params, signal }) {
  const { id } = params;
  setTitle(`Order ${shortId(id)}`);
  const mark = h("span");
  const notice = h("div", { class: "notice-room", tabindex: "-1" });
  const room = h("div");
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
      replace(room, render(await read()));
    } catch (problem) {
      if (!signal.aborted) toast(problem.message, { kind: "bad", action: { label: "Try again", run: refresh } });
    }
  };

  function render({ order, events }) {
    replace(mark, badge(order.status));
    watch(order, events);
    return h(
      "div",
      { class: "columns" },
      h("div", null, itemsCard(order), actionsCard(order, act, refund), timelineCard(events)),
      h("div", null, aboutCard(order, events), addressCard(order), paymentCard(order, signal)),
    );
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
      else replace(room, render(now));
    } catch {
      // The page was left, or the order could not be read just now: then what is shown stays for a while.
      if (!signal.aborted && look === looks) watch(order, events);
    }
  }

  async function act(action) {
    if (!(await askToConfirm({ ...action, action: action.label }))) return;
    await change(() => call("POST", `${path}/${action.name}`), action.done);
  }
  const refund = (send, done) => change(send, done);

  /** Do something with the order, say what came of it, and show the order as it is then. */
  async function change(send, done) {
    replace(notice);
    try {
      const order = await send();
      const isOver = order.status !== "pending";
      toast(isOver ? done : "It is being worked on, and finishes by itself.", { kind: "good" });
      await refresh();
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
  load(room, read, render, { skeleton: skeleton("rows", 8), signal });
  return [head, notice, room];
}

function refusal(problem) {
  const lost = problem.status === 0 || problem.status >= 500;
  const text = lost
    ? "No answer came, so it may have happened or not: the timeline tells. Doing it once more is harmless."
    : problem.message;
  return refusalNote(text);
}

function itemsCard(order) {
  const money = (amount) => formatMoney(amount, order.currency);
  const table = makeTable("Items of the order", [
    {
      title: "Item",
      kind: "main",
      cell: (item) => [
        h("a", { href: linkTo(`/admin/products/${item.product_id}`) }, item.title ?? `Product ${item.product_id}`),
        item.sku && h("small", { class: "faint" }, ` ${item.sku}`),
      ],
    },
    { title: "Quantity", kind: "number", cell: (item) => item.quantity },
    { title: "Price", kind: "number", cell: (item) => money(item.unit_amount) },
    { title: "Amount", kind: "number", cell: (item) => money(item.amount) },
  ]);
  table.show(order.items);
  return card(
    "Items",
    table.node,
    h("div", { class: "totals" }, facts([
      ...order.adjustments.map((each) => [each.title, money(each.amount)]),
      ["Total", h("strong", null, money(order.amount))],
      ["Refunded", order.amount_refunded ? money(order.amount_refunded) : null],
    ])),
  );
}

function actionsCard(order, act, refund) {
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
    isRefundable && refundForm(order, left, refund),
  );
}

function aboutCard(order, events) {
  const customer = events.find((event) => event.kind === "placed")?.actor;
  return card("About", facts([
    ["Number", h("code", null, order.id)],
    ["Placed", moment(order.created_at)],
    ["Last change", moment(order.updated_at)],
    ["Customer", customer && isId(customer) ? idLink(`/admin/users/${customer}`, customer) : customer],
    ["Email", order.email],
    ["Cancelled because", order.reason && describeReason(order.reason)],
  ]));
}

function addressCard({ shipping_address: address }) {
  const lines = [
    address.name, address.line1, address.line2,
    [address.postal_code, address.city].join(" "), address.region, describeCountry(address.country),
  ];
  return card("Address", h("address", null, lines.filter(Boolean).map((line) => h("div", null, line))));
}

function describeCountry(code) {
  const names = new Intl.DisplayNames(undefined, { type: "region" });
  return names.of(code) ?? code;
}

function paymentCard(order, signal) {
  const room = h("div");
  if (order.payment) {
    const { id } = order.payment;
    const money = (payment, amount) => formatMoney(amount, payment.currency);
    load(
      room,
      () => call("GET", `/payments/${id}`, { signal }),
      (payment) => facts([
        ["Payment", idLink(`/admin/payments/${id}`, id)],
        ["Status", badge(payment.status)],
        ["Captured", money(payment, payment.amount_captured)],
        ["Refunded", payment.amount_refunded ? money(payment, payment.amount_refunded) : null],
        ["Provider", payment.provider],
      ]),
      { skeleton: skeleton("lines", 2), signal },
    );
  }
  return card("Payment", order.payment ? room : h("p", { class: "faint" }, "There is no payment yet."));
}

function timelineCard(events) {
  return card("Timeline", h("ol", { class: "order-story" }, events.map((event) =>
    h(
      "li",
      null,
      h("div", { class: "order-story-what" }, describeEvent(event.kind), event.from !== event.to && event.to
        ? [" ", badge(event.to)]
        : null),
      h(
        "div",
        { class: "faint small" },
        moment(event.time),
        " by ",
        isId(event.actor) ? idLink(`/admin/users/${event.actor}`, event.actor) : event.actor,
        event.detail && ` · ${describeDetail(event)}`,
      ),
    ),
  )));
}

/** Return what an event's detail says: a reason, or an amount of minor units with its currency. */
function describeDetail({ detail }) {
  const amount = /^(\d+) ([A-Z]{3})$/.exec(detail);
  return amount ? formatMoney(Number(amount[1]), amount[2]) : describeReason(detail);
}
