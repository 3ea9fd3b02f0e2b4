// The visitor's order history.
import { call } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { formatMoney, formatTime } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { session } from "../lib/session.js";
import { statusBadge } from "../lib/order-labels.js";
import { claimOffer } from "./claimable-orders.js";
import { nameOf } from "./drawer.js";

export const title = "Order history";

const PAGE = 20;

export async function view({ signal }) {
  const body = h("div");

  function show() {
    load(
      body,
      () => fetchPage(null, signal),
      (page) => showOrders(page, signal),
      { skeleton: skeleton("rows", 5), signal },
    );
  }

  show();
  return h("div", { class: "stack-wide" }, h("h1", null, title), claimOffer(show, signal), body, findOrderLink());
}

function findOrderLink() {
  return h(
    "p",
    { class: "faint" },
    "Ordered as a guest on another device? ",
    h("a", { href: linkTo("/find-order") }, "Find your order"),
  );
}

function fetchPage(cursor, signal) {
  // Without it, a clerk or an admin would get the orders of all users.
  const user = session.isStaff ? session.user.id : null;
  return call("GET", "/orders", { query: { limit: PAGE, cursor, user }, signal });
}

function showOrders(page, signal) {
  if (!page.data.length) {
    return emptyPanel(
      "No orders yet",
      "Your orders will appear here.",
      h("a", { class: "button button-primary", href: linkTo("/") }, "Continue shopping"),
    );
  }
  const list = h("ul", { class: "orders" }, page.data.map(showOrder));
  const rest = h("div", { class: "rest" });
  let { next } = page;

  function showRest() {
    replace(
      rest,
      next &&
        h(
          "button",
          { class: "button", type: "button", onclick: ({ currentTarget }) => fetchMore(currentTarget) },
          "Show more",
        ),
    );
  }

  async function fetchMore(button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      const more = await fetchPage(next, signal);
      ({ next } = more);
      const entries = more.data.map(showOrder);
      list.append(...entries);
      entries[0]?.querySelector("a").focus({ preventScroll: true });
      showRest();
    } catch (problem) {
      if (problem.name !== "AbortError") toast(problem.message, { kind: "bad" });
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  showRest();
  return h("div", null, list, rest);
}

function showOrder(order) {
  return h(
    "li",
    { class: "card order-row" },
    h(
      "div",
      { class: "stack-tight" },
      h("a", { href: linkTo(`/orders/${order.id}`) }, `Order placed ${formatTime(order.created_at)}`),
      h(
        "span",
        { class: "faint small" },
        [order.number && `Order ${order.number}`, describeItems(order.items)].filter(Boolean).join(" · "),
      ),
    ),
    statusBadge(order.status),
    h("strong", { class: "number" }, formatMoney(order.amount, order.currency)),
  );
}

// Return the items in one line: `Frying pan × 2, Tea towels`.
function describeItems(items) {
  return items
    .map((item) => `${nameOf(item)}${item.quantity > 1 ? ` × ${item.quantity}` : ""}`)
    .join(", ");
}
