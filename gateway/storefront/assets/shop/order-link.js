// One order, read only, as a mailed link opens it.
import { h } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { formatTime } from "../lib/format.js";
import { Problem, send } from "../lib/http.js";
import { describeAddress, statusBadge } from "../lib/order-labels.js";
import { cardPage, noteBadLink } from "./mail-pages.js";
import { explain, progress, section, showItem, showSums } from "./order-parts.js";

export const title = "Your order";

export async function view({ query, signal }) {
  const page = h("div");
  // The token stays in the address: the link works for seven days, also after a reload.
  load(page, () => fetchOrder(query.get("token") ?? "", signal), (order) => (order ? showOrder(order) : showBadLink()), {
    skeleton: [h("h1", { class: "visually-hidden" }, title), skeleton("product", 5)],
    signal,
  });
  return page;
}

async function fetchOrder(token, signal) {
  if (!token) return null;
  try {
    return await send("POST", "/orders/lookup/open", { body: { token }, signal });
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 422) return null;
    throw problem;
  }
}

function showBadLink() {
  return cardPage(title, noteBadLink("/find-order", "Request a new link"));
}

function showOrder(order) {
  return h(
    "div",
    { class: "stack-wide" },
    h(
      "header",
      { class: "stack order-head" },
      h("h1", { tabindex: "-1" }, `Order ${order.number}`),
      h(
        "p",
        { class: "row" },
        statusBadge(order.status),
        h("span", { class: "faint small" }, `Placed ${formatTime(order.created_at)}`),
      ),
      progress(order),
      explain(order),
    ),
    section(
      "Items",
      h(
        "ul",
        { class: "cart-lines" },
        order.items.map((item) => showItem(item, order.currency)),
      ),
      h("dl", { class: "sums" }, showSums(order)),
    ),
    section(
      "Shipping address",
      h(
        "address",
        null,
        describeAddress(order.shipping_address).map((line) => h("div", null, line)),
      ),
    ),
  );
}
