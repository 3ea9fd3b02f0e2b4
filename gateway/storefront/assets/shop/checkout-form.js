// The checkout form: shipping address and payment.
import { wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { field, readForm, setRequired } from "../lib/forms.js";
import { session } from "../lib/session.js";
import { accountForms } from "./account-forms.js";
import { guessCountry, listCountries, listRequired } from "./countries.js";
import { isPaymentsUp } from "./health.js";

const DRAFT = "shopfleet.checkout";
const CARDS = [
  ["pm_card_visa", "Test card: accepted", "The bank approves the payment immediately."],
  [
    "pm_card_authenticationRequired",
    "Test card: requires authentication",
    "The bank requires authentication, as with 3-D Secure.",
  ],
  ["pm_card_chargeDeclined", "Test card: declined", "The bank declines the payment. You are not charged."],
];

/**
 * Return the form with the customer's draft; `submit(form, outcome)` is called on submit. `outcome` is the
 * element for the result.
 */
export function checkoutForm(submit, signal) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}");
  const outcome = h("div", { class: "outcome" });
  const paymentsNotice = h("div");
  const button = h(
    "button",
    { class: "button button-primary button-wide", type: "submit" },
    icon("lock"),
    "Place order",
  );
  const text = (name, label, props) => field({ name, label, value: draft[name] ?? "", ...props });
  const form = h(
    "form",
    { class: "card card-body stack-wide", novalidate: true },
    outcome,
    signIn(signal),
    h(
      "fieldset",
      null,
      h("legend", null, h("h2", null, "Shipping address")),
      h(
        "div",
        { class: "fields" },
        text("name", "Name", { required: true, autocomplete: "name", maxlength: 200 }),
        text("line1", "Street address", { required: true, autocomplete: "address-line1", maxlength: 200 }),
        text("line2", "Apartment, suite, company", { autocomplete: "address-line2", maxlength: 200 }),
        text("postal_code", "Postal code", {
          autocomplete: "postal-code",
          maxlength: 20,
          class: "third",
        }),
        text("city", "City", {
          autocomplete: "address-level2",
          maxlength: 100,
          class: "two-thirds",
        }),
        text("region", "State or region", { autocomplete: "address-level1", maxlength: 100, class: "half" }),
        field({
          name: "country",
          label: "Country",
          type: "select",
          options: listCountries(),
          value: draft.country ?? guessCountry(),
          required: true,
          autocomplete: "country",
          class: "half",
        }),
        text("email", "Email", {
          type: "email",
          autocomplete: "email",
          maxlength: 254,
          hint: "Used for this order only.",
        }),
      ),
    ),
    h(
      "fieldset",
      null,
      h("legend", null, h("h2", null, "Payment")),
      h(
        "p",
        { class: "note" },
        icon("info"),
        h(
          "span",
          null,
          "This shop uses a simulated payment provider: it needs no card number and moves no real money. " +
            "Choose how the bank responds.",
        ),
      ),
      paymentsNotice,
      h(
        "div",
        { class: "cards" },
        CARDS.map(([value, label, hint], place) =>
          cardChoice(
            value,
            label,
            hint,
            value === draft.payment_method || (!draft.payment_method && place === 0),
          ),
        ),
      ),
    ),
    button,
  );
  form.addEventListener("input", () => sessionStorage.setItem(DRAFT, JSON.stringify(readForm(form))));
  const applyCountry = () => {
    const required = listRequired(form.elements.country.value);
    for (const name of ["postal_code", "city", "region"])
      setRequired(form.elements[name], required.includes(name));
  };
  form.elements.country.addEventListener("change", applyCountry);
  applyCountry();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.hasAttribute("aria-busy")) submit(form, outcome);
  });
  watchPayments(paymentsNotice, signal);
  return form;
}

function signIn(signal) {
  if (session.user) return null;
  const open = () => {
    const dialog = openDialog({
      title: "Sign in or create an account",
      content: accountForms(() => dialog.close()),
    });
  };
  const hint = h(
    "p",
    { class: "small faint" },
    "You are checking out as a guest. ",
    h("button", { class: "button-link", type: "button", onclick: open }, "Sign in or create an account"),
    " to see your orders on all your devices.",
  );
  session.addEventListener("change", () => hint.remove(), { once: true, signal });
  return hint;
}

function cardChoice(value, label, hint, checked) {
  const id = `card-${value}`;
  return h(
    "div",
    { class: "card-choice" },
    h("input", {
      type: "radio",
      name: "payment_method",
      id,
      value,
      checked,
      "aria-describedby": `${id}-hint`,
    }),
    h("label", { for: id }, icon("card"), label),
    h("p", { class: "small faint", id: `${id}-hint` }, hint),
  );
}

// Show a notice while payments are unavailable, and check until they are back.
async function watchPayments(notice, signal) {
  try {
    for (let pause = 3000; !signal.aborted; pause = Math.min(pause * 1.5, 30_000)) {
      const isUp = await isPaymentsUp(signal);
      const note = h("p", { class: "note note-warn", role: "status" }, icon("clock"), PAYMENTS_DOWN);
      replace(notice, isUp ? null : note);
      if (isUp) return;
      await wait(pause, signal);
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

const PAYMENTS_DOWN =
  "Payments are temporarily unavailable. You can try again in a moment, or order now: we will complete your order as " +
  "soon as payments are back, or cancel it after two minutes without charging you.";
