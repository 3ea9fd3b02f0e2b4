// Explanations for orders that the shop rejects.
import { h } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { cart } from "./cart.js";
import { explainCoupon } from "./coupon.js";
import { recall, rememberStock } from "./catalog.js";
import { nameOf, removeItem } from "./drawer.js";

/**
 * Explain to the customer why an order was rejected and what to do: `{heading, text, extra}`. `extra` is a
 * node or undefined.
 */
export function explainRefusal(problem) {
  const { code, status, body, message } = problem;
  if (code === "payment_method_unsupported") {
    return {
      heading: "This card is not supported",
      text: "Choose another card. You were not charged.",
    };
  }
  if (status === 402) {
    return {
      heading: "Your bank declined the payment",
      text: "You were not charged, and your cart is unchanged. Choose another card and place the order again.",
    };
  }
  if (code === "out_of_stock" || code === "product_unavailable") {
    return {
      heading: code === "out_of_stock" ? "Not enough in stock" : "Some items are no longer available",
      text: "You were not charged. Update your cart and place the order again.",
      extra: h("ul", { class: "plain-list" }, (body.lines ?? []).map(stockLine)),
    };
  }
  if (code === "variant_required") {
    return {
      heading: "Some items come in several variants",
      text: "You were not charged. Choose a variant of each, and place the order again.",
      extra: h("ul", { class: "plain-list" }, (body.lines ?? []).map(chooseLine)),
    };
  }
  if (code === "amount_changed") {
    return {
      heading: "The total has changed",
      text: `It is ${formatMoney(body.amount, body.currency)} now. You were not charged. Review it and place the order again.`,
    };
  }
  if (code === "shipping_method_required" || code === "shipping_method_unavailable") {
    return {
      heading: "Choose a delivery",
      text: body.shipping_options?.length
        ? "The delivery that you chose is not offered any more. You were not charged. Choose another one."
        : "The shop does not deliver these items to this address. You were not charged.",
    };
  }
  if (code === "coupon_not_usable") {
    return {
      heading: "The coupon cannot be used",
      text: `${explainCoupon(problem)} You were not charged. Remove the coupon, or use another one.`,
    };
  }
  if (code === "cart_changed" || code === "cart_empty") {
    return {
      heading: "Your cart has changed",
      text: "It was changed in another window. Review it and place the order again.",
    };
  }
  if (code === "cart_already_ordered") {
    return {
      heading: "You already ordered this cart",
      text: "We did not place a second order. Change your cart to order more.",
      extra: h("p", null, h("a", { href: linkTo(`/orders/${body.order_id}`) }, "View order")),
    };
  }
  if (problem.isOutcomeUnknown) {
    return {
      heading: "No response from the shop",
      text: `${message} You can place the order again; you will not be charged twice.`,
    };
  }
  return { heading: "Your order was not placed", text: message };
}

// The line of this refusal is a product.
function chooseLine({ product_id: id }) {
  const link = h("a", { href: linkTo(`/products/${id}`) }, "Choose a variant");
  return h("li", null, `${recall(id)?.title ?? `Product ${id}`}: `, link);
}

function stockLine(refused) {
  const { variant_id: id, available = 0 } = refused;
  const item = cart.content?.items.find(({ variant_id: each }) => each === id) ?? {
    ...refused,
    title: null,
    quantity: 1,
  };
  // The error has the current stock; the cached product may be some seconds old.
  rememberStock(item, available);
  const isAvailable = available > 0;
  const button = h(
    "button",
    { class: "button-link", type: "button" },
    isAvailable ? `Set quantity to ${available}` : "Remove",
  );
  const state = isAvailable ? `only ${available} left` : "sold out";
  const line = h("li", null, `${nameOf(item)}: ${state}. `, button);
  button.addEventListener("click", async () => {
    if (isAvailable) cart.setQuantity(id, available);
    else if (!(await removeItem(item))) return;
    button.replaceWith(isAvailable ? "Updated." : "Removed.");
  });
  return line;
}
