// What it means when an order is refused.
import { h } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";
import { cart } from "./cart.js";
import { recall, remember } from "./catalog.js";
import { nameOf, removeItem } from "./drawer.js";

/**
 * Return what a refused order means for a shopper, and what can be done about it: `{heading, text, extra}`, the last
 * being a node or undefined.
 */
export function explainRefusal(problem) {
  const { code, status, body, message } = problem;
  if (code === "payment_method_unsupported") {
    return {
      heading: "The payment provider does not know this card",
      text: "Choose another one. Nothing was charged.",
    };
  }
  if (status === 402) {
    return {
      heading: "The bank declined the payment",
      text: "Nothing was charged, and your cart is as it was. Choose another card and place the order again.",
    };
  }
  if (code === "out_of_stock" || code === "product_unavailable") {
    return {
      heading: code === "out_of_stock" ? "There is not enough left" : "Something is not for sale any more",
      text: "Nothing was charged. Change your cart, and place the order again.",
      extra: h("ul", { class: "plain-list" }, (body.lines ?? []).map(stockLine)),
    };
  }
  if (code === "cart_changed" || code === "cart_empty") {
    return {
      heading: "Your cart has changed",
      text: "It was changed in another window. Look at it once more, then place the order.",
    };
  }
  if (code === "cart_already_ordered") {
    return {
      heading: "This cart was ordered already",
      text: "Nothing was ordered twice. Change the cart if you want to order more.",
      extra: h("p", null, h("a", { href: linkTo(`/orders/${body.order_id}`) }, "See the order")),
    };
  }
  if (problem.isOpen) {
    return {
      heading: "There was no answer",
      text: `${message} Place the order again: it is the same order, and is made only once.`,
    };
  }
  return { heading: "The order was not placed", text: message };
}

function stockLine({ product_id: id, available = 0 }) {
  const item = cart.content?.items.find(({ product_id: each }) => each === id) ?? {
    product_id: id,
    title: null,
    quantity: 1,
  };
  // The catalogue's list may be some seconds old, and this is not.
  if (recall(id)) remember([{ ...recall(id), stock: available }]);
  const take = available > 0;
  const button = h(
    "button",
    { class: "button-link", type: "button" },
    take ? `Take ${available}` : "Remove it",
  );
  const line = h("li", null, `${nameOf(item)}: ${take ? `only ${available} left` : "none left"}. `, button);
  button.addEventListener("click", async () => {
    if (take) cart.setQuantity(id, available);
    else if (!(await removeItem(item))) return;
    button.replaceWith(take ? "Changed." : "Removed.");
  });
  return line;
}
