// What a cart would cost at a place, as the checkout prices it.
import { call } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { announce, load, skeleton } from "../lib/feedback.js";
import { checkForm, clearProblems, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { formatMoney, formatTime } from "../lib/format.js";
import { guessCountry } from "../shop/countries.js";
import { card, errorNote } from "./parts.js";
import { countryField, findCurrency, noCurrencyPanel, pricingHead } from "./pricing.js";
import { previewCart } from "./preview-cart.js";
import { receipt } from "./preview-receipt.js";

const FORM = "preview";
const HINT = "Add products to the cart, and choose where they go. Nothing is ordered.";

export async function view({ signal }) {
  const room = h("div");
  const read = async () => {
    const [methods, currency] = await Promise.all([call("GET", "/shipping-methods", { signal }), findCurrency(signal)]);
    return { methods: methods.data, currency };
  };
  const render = ({ methods, currency }) => (currency ? makePage(methods, currency, signal) : noCurrencyPanel());
  load(room, read, render, { skeleton: skeleton("rows", 4), signal });
  return [pricingHead("Price preview", "/admin/pricing/preview"), room];
}

function makePage(methods, currency, signal) {
  const outcome = h("div", { class: "stack" });
  const cart = previewCart({ formId: FORM, currency, signal, onChange: outdate });
  const form = h(
    "form",
    { class: "stack", id: FORM, novalidate: true, onsubmit: submit, oninput: outdate },
    h(
      "div",
      { class: "product-fields" },
      countryField({ value: guessCountry() }),
      field({ label: "Region", name: "region", maxlength: 100, autocomplete: "off", hint: "Such as CA or US-CA." }),
      field({ label: "Postal code", name: "postal_code", maxlength: 20, autocomplete: "off" }),
      field({ label: "Coupon", name: "coupon", maxlength: 50, autocomplete: "off", spellcheck: "false" }),
      field({
        label: "Shipping method",
        name: "shipping_method",
        type: "select",
        class: "wide",
        options: [
          ["", "None chosen"],
          ...methods.map(({ code, title, active }) => [code, active ? title : `${title} (switched off)`]),
        ],
      }),
    ),
    h("button", { class: "button button-primary", type: "submit" }, "Show the total"),
  );
  // Counts the changes, so that the answer to an earlier state is not shown.
  let changes = 0;
  reset();

  function reset() {
    replace(outcome, h("p", { class: "faint" }, HINT));
  }
  /** Remove a total that is no longer that of the cart and the form. */
  function outdate() {
    changes += 1;
    if (!form.hasAttribute("aria-busy")) reset();
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    if (!cart.lines.length) {
      replace(outcome, errorNote("Add a product to the cart first."));
      cart.focus();
      return;
    }
    await whileBusy(form, quote);
  }
  async function quote() {
    const { country, region, postal_code, coupon, shipping_method } = readForm(form);
    const asked = changes;
    const body = { items: cart.lines, shipping_address: { country, region, postal_code }, coupon, shipping_method };
    try {
      const quoted = await call("POST", "/orders/quote", { body, signal });
      if (asked !== changes) {
        reset();
        return;
      }
      replace(outcome, receipt({ quote: quoted, chosen: shipping_method, onChoose: choose }));
      announce(`Total ${formatMoney(quoted.amount, quoted.currency)}`);
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.name !== "Problem") throw problem;
      showFailure(problem);
    }
  }
  /** Choose a method on offer, and show the total with it. */
  async function choose(code) {
    const { shipping_method: select } = form.elements;
    if (![...select.options].some(({ value }) => value === code)) select.append(h("option", { value: code }, code));
    select.value = code;
    clearProblems(form);
    await whileBusy(form, quote);
    document.getElementById(`offer-${code}`)?.focus();
  }
  function showFailure(problem) {
    const { body } = problem;
    if (problem.errors.length) {
      reset();
      // A form shows an error at the control of this name, or above its fields.
      showProblems(form, problem);
      return;
    }
    const options = body.shipping_options && receipt({ quote: { ...body, currency }, chosen: null, onChoose: choose });
    replace(outcome, errorNote(explain(problem, currency, cart)), options);
  }
  return h(
    "div",
    { class: "columns" },
    h("div", null, card("Cart", cart.node), card("Destination", form)),
    h("div", null, card("What the customer pays", outcome)),
  );
}

/** Return in plain words why there is no total. */
function explain({ code, message, body }, currency, cart) {
  if (code === "shipping_method_unavailable") {
    return "This shipping method is not offered: it is switched off, or it does not deliver these products to this address.";
  }
  if (code === "product_unavailable") {
    const names = (body.lines ?? []).map(({ variant_id: id }) => cart.nameOf(id));
    return `Not for sale: ${names.join(", ")}. Remove it from the cart.`;
  }
  if (code !== "coupon_not_usable") return message;
  const reasons = {
    below_minimum: `The coupon ${body.coupon} needs items for ${formatMoney(body.minimum, currency)} or more.`,
    not_started: `The coupon ${body.coupon} starts at ${formatTime(body.starts)}.`,
    ended: `The coupon ${body.coupon} is switched off or has ended.`,
    used_by_customer: `You have used the coupon ${body.coupon} with your own account as often as a customer can.`,
    first_order_only: `The coupon ${body.coupon} is only for a first order, and your own account has orders.`,
  };
  return reasons[body.reason] ?? message;
}
