// An example of prices for a new shop: a shipping method, a tax rate and a coupon.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { checkForm, readForm, whileBusy } from "../lib/forms.js";
import { formatMoney, minorUnits } from "../lib/format.js";
import { guessCountry } from "../shop/countries.js";
import { countryField, showFormProblems } from "./pricing.js";
import { rateFields, toBasisPoints } from "./tax-form.js";

const RATE = 2000; // Basis points.
// The codes of refusals of what the shop has already, such as after an attempt that broke off.
const EXISTING = ["tax_rate_exists", "coupon_exists", "shipping_method_exists"];

/** Return a button that sets up the example in a dialog; `onDone` is called afterwards. */
export function exampleButton(currency, onDone) {
  return h(
    "button",
    { class: "button", type: "button", onclick: () => setUpExample(currency, onDone) },
    icon("star"),
    "Set up an example",
  );
}

function setUpExample(currency, onDone) {
  const method = makeMethod(currency);
  const money = (amount) => formatMoney(amount, currency);
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    h("p", null, "This adds:"),
    h(
      "ul",
      null,
      h(
        "li",
        null,
        `the shipping method ${method.title}: ${money(method.price)}, free from ${money(method.free_from)}, everywhere,`,
      ),
      h("li", null, "the tax rate below, for all products that go to that country,"),
      h("li", null, "the coupon WELCOME10: 10 % off, once per customer."),
    ),
    h("p", null, "Each order then needs a shipping method. You can change or delete all three."),
    countryField({ value: guessCountry(), hint: "Where you pay the tax." }),
    rateFields({ rate: RATE, title: `Tax ${RATE / 100} %` }),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Set up"),
    ),
  );
  followRate(form);
  const dialog = openDialog({ title: "Set up an example", content: form });
  form.elements.country.focus();

  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { country, rate, title } = readForm(form);
    await whileBusy(form, async () => {
      try {
        await add("/tax-rates", { country, rate: toBasisPoints(rate), title });
        await add("/coupons", { code: "WELCOME10", percent: 10, limit_per_customer: 1 });
        // The last one, because from then on each order needs it.
        await add("/shipping-methods", method);
        dialog.close();
        toast("The example is set up.", { kind: "good" });
        onDone();
      } catch (problem) {
        showFormProblems(form, problem);
      }
    });
  }
}

/** Add something, unless the shop has it already. */
async function add(path, body) {
  try {
    await call("POST", path, { body });
  } catch (problem) {
    if (!EXISTING.includes(problem.code)) throw problem;
  }
}

/** Return the method: 4.90, and free from 50.00. A currency without decimals has smaller units. */
function makeMethod(currency) {
  const unit = Math.max(minorUnits(currency), 100);
  return { code: "standard", title: "Standard delivery", price: Math.round(4.9 * unit), free_from: 50 * unit };
}

/** Keep the percentage in the title until the admin enters another title. */
function followRate(form) {
  const { rate, title } = form.elements;
  let suggested = title.value;
  rate.addEventListener("input", () => {
    if (title.value !== suggested) return;
    suggested = `Tax ${rate.value} %`;
    title.value = suggested;
  });
}
