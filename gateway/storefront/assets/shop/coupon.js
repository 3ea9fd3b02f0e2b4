// The coupon of the cart, in the summary of the checkout.
import { Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { checkForm, field, showProblems, whileBusy } from "../lib/forms.js";
import { sayTotal } from "../lib/totals.js";
import { cart } from "./cart.js";

/** Return why a coupon cannot be used, with the amount that it needs. */
export function explainCoupon({ message, body }) {
  const { reason, coupon, minimum } = body;
  if (reason !== "below_minimum") return message;
  return `The coupon ${coupon} needs items for ${formatMoney(minimum, cart.content?.currency)} or more.`;
}

/** Return the field for a code, or the coupon that the cart has. */
export function couponForm(signal) {
  const room = h("div", { class: "stack-tight" });
  let shown;

  async function apply(form) {
    if (!checkForm(form)) return;
    const code = form.elements.coupon_code.value.trim();
    await whileBusy(form, () => change(code, form));
  }

  async function change(code, form) {
    try {
      await cart.change("PUT", "/cart/coupon", { code });
      announce(`${code ? "Coupon applied." : "Coupon removed."} ${sayTotal(cart.content)}`);
      room.querySelector("input, button")?.focus();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      showProblems(form, { errors: [{ field: "coupon_code", detail: explainCoupon(problem) }] });
    }
  }

  function entry() {
    const form = h(
      "form",
      { class: "coupon", novalidate: true },
      field({ label: "Coupon code", name: "coupon_code", maxlength: 50, required: true, autocomplete: "off" }),
      h("button", { class: "button", type: "submit" }, "Apply"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      apply(form);
    });
    return form;
  }

  function show() {
    if (!cart.content) return;
    const coupon = cart.content.coupon ?? null;
    const state = JSON.stringify(coupon);
    // What the customer types stays.
    if (state === shown) return;
    shown = state;
    replace(room, coupon ? applied(coupon) : entry());
  }

  function applied({ code, problem }) {
    return [
      h(
        "p",
        { class: "row row-apart" },
        h("span", null, icon("check"), ` Coupon ${code}`),
        h("button", { class: "button-link", type: "button", onclick: () => change(null) }, "Remove coupon"),
      ),
      problem && h("p", { class: "cart-problem small" }, icon("alert"), h("span", null, problem)),
    ];
  }

  cart.addEventListener("change", show, { signal });
  show();
  return room;
}
