// The checkout: from the cart to an order.
import { call, Problem, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce, emptyPanel, problemPanel, skeleton, toast } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { checkForm, clearProblems, showProblems, whileBusy } from "../lib/forms.js";
import { dropKey, keepKey } from "../lib/idempotency-keys.js";
import { linkTo, navigate } from "../lib/router.js";
import { countOf } from "../lib/labels.js";
import { sayTotal } from "../lib/totals.js";
import { cart } from "./cart.js";
import { picture, recallLine } from "./catalog.js";
import { checkoutForm, readOrder } from "./checkout-form.js";
import { couponForm } from "./coupon.js";
import { fetchDetails, nameOf, PRICES_UNAVAILABLE, problemOf, removeItem } from "./drawer.js";
import { showSums } from "./order-parts.js";
import { explainRefusal } from "./refusals.js";

export const title = "Checkout";

const PURPOSE = "checkout";

export async function view({ signal }) {
  const body = h("div", null, skeleton("product", 5));
  const requested = new Set();
  let [form, delivery, said] = [null, null, null];
  const summary = h("div", { class: "stack" });
  const coupon = couponForm(signal);

  function show() {
    if (!cart.content) return;
    if (!cart.content.items.length) {
      form = null;
      replace(body, emptyCheckout());
      return;
    }
    if (!form) {
      ({ form, delivery } = checkoutForm((...sent) => submit(delivery, ...sent, signal), signal));
      replace(
        body,
        h(
          "div",
          { class: "checkout" },
          form,
          h("aside", { class: "card summary stack", "aria-label": "Order summary" }, summary, coupon),
        ),
      );
      delivery.start();
    }
    replace(summary, showSummary());
    const total = sayTotal(cart.content);
    if (said !== null && said !== total) announce(total);
    said = total;
    fetchDetails(cart.content.items, requested, signal).then((found) => found && show());
  }

  async function refresh() {
    try {
      await cart.refresh();
    } catch (problem) {
      if (!cart.content && !signal.aborted) replace(body, problemPanel(problem, refresh));
    }
  }

  cart.addEventListener("change", show, { signal });
  show();
  refresh();
  return h("div", { class: "stack-wide" }, h("h1", null, "Checkout"), body);
}

function emptyCheckout() {
  return emptyPanel(
    "Your cart is empty",
    "If you ordered in another tab, check your order history.",
    h(
      "div",
      { class: "row" },
      h("a", { class: "button button-primary", href: linkTo("/") }, "Continue shopping"),
      h("a", { class: "button", href: linkTo("/orders") }, "Order history"),
    ),
  );
}

function showSummary() {
  const { items, amount, currency } = cart.content;
  return [
    h("h2", null, countOf(cart.count, "item", "items")),
    h(
      "ul",
      { class: "cart-lines" },
      items.map((item) =>
        h(
          "li",
          { class: "cart-line" },
          h("div", { class: "cart-picture" }, picture(recallLine(item), { size: 56 })),
          h(
            "div",
            { class: "stack-tight" },
            h("span", null, nameOf(item)),
            h("span", { class: "small faint" }, `Quantity ${item.quantity}`),
            problemOf(item),
            item.problem && removeButton(item),
          ),
          h("span", { class: "number" }, formatMoney(item.amount, currency)),
        ),
      ),
    ),
    amount === null && h("p", { class: "note note-warn" }, icon("info"), PRICES_UNAVAILABLE),
    h("dl", { class: "sums" }, showSums(cart.content)),
  ];
}

function removeButton(item) {
  return h(
    "p",
    { class: "small" },
    h(
      "button",
      { class: "button-link", type: "button", onclick: () => removeItem(item) },
      "Remove",
      h("span", { class: "visually-hidden" }, ` ${nameOf(item)}`),
    ),
  );
}

async function submit(delivery, form, outcome, save, signal) {
  replace(outcome);
  if (!checkForm(form)) return;
  await whileBusy(form, async () => {
    const order = readOrder(form);
    const seen = cart.content;
    await delivery.settle();
    const content = await settleCart(outcome, signal);
    if (!content) return;
    // The address or another window may have changed what the customer has not seen yet.
    const change = findChange(seen, content);
    if (change) {
      showOutcome(outcome, "warn", explainRefusal({ code: change, body: content }));
      return;
    }
    try {
      const cart_version = content.version;
      // Without current prices, the page shows no total.
      const expected = content.amount === null ? {} : { expected_amount: content.amount };
      const placed = await placeOrder({ cart_version, ...expected, ...order }, signal);
      dropKey(PURPOSE);
      // The order is placed, even if the address cannot be saved.
      await save(order).catch((problem) => toast(problem.message, { kind: "bad" }));
      await cart.refresh().catch(() => {});
      if (!signal.aborted) navigate(`/orders/${placed.id}`, { placed: "yes" }, { replace: true });
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      handleProblem(form, outcome, problem);
    }
  });
}

function findChange(seen, content) {
  const list = ({ items }) => items.map(({ variant_id: id, quantity }) => `${id}:${quantity}`).join();
  if (list(seen) !== list(content)) return "cart_changed";
  return seen.amount === content.amount ? null : "amount_changed";
}

// Send the pending changes of the cart and return it; show an error and return null if the server rejects
// them. The order carries the version of the cart, so that the server orders exactly the cart that the
// customer has seen.
async function settleCart(outcome, signal) {
  try {
    return await cart.settle();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (!signal.aborted)
      showOutcome(outcome, "warn", {
        heading: "Your order was not placed",
        text: `We could not update your cart. Review it and try again. ${problem.message}`,
      });
  }
  return null;
}

// The idempotency key is kept until the outcome is known, so that the customer can safely press the button
// again.
async function placeOrder(body, signal) {
  for (;;) {
    try {
      return await call("POST", "/orders", { body, key: keepKey(PURPOSE), signal });
    } catch (problem) {
      if (problem.code !== "idempotency_in_progress") throw problem;
      await wait((problem.retryAfter ?? 1) * 1000, signal);
    }
  }
}

function handleProblem(form, outcome, problem) {
  clearProblems(form);
  // The server does not store a validation error with the key. Without a response the outcome is unknown.
  if (problem.code === "validation_failed") {
    showProblems(form, problem);
    return;
  }
  if (!problem.isOutcomeUnknown) dropKey(PURPOSE);
  if ([402, 409, 422].includes(problem.status)) cart.refresh().catch(() => {});
  if (problem.code === "idempotency_key_reused") {
    // The first request succeeded with other details, and its response was lost.
    toast("We already received this order, with the details you sent first.");
    navigate("/orders", null, { replace: true });
    return;
  }
  showOutcome(outcome, problem.isOutcomeUnknown ? "warn" : "bad", explainRefusal(problem));
}

function showOutcome(outcome, kind, { heading, text, extra }) {
  const note = h(
    "div",
    { class: `note note-${kind}`, role: "alert", tabindex: "-1" },
    icon("alert"),
    h("div", { class: "stack-tight" }, h("strong", null, heading), h("p", null, text), extra),
  );
  replace(outcome, note);
  note.focus();
}
