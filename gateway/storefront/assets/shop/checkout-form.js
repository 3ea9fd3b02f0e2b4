// What is asked before an order is placed: where it goes, and how it is paid.
import { wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { field, readForm, setRequired } from "../lib/forms.js";
import { session } from "../lib/session.js";
import { accountForms } from "./account-forms.js";
import { guessCountry, listCountries, listNeeded } from "./countries.js";
import { paymentsAnswer } from "./health.js";

const DRAFT = "shopfleet.checkout";
const CARDS = [
  ["pm_card_visa", "Test card that is accepted", "The bank says yes at once."],
  [
    "pm_card_authenticationRequired",
    "Test card whose bank asks you",
    "You confirm the payment on the bank's page, as with 3-D Secure.",
  ],
  ["pm_card_chargeDeclined", "Test card that is declined", "The bank says no; nothing is charged."],
];

/**
 * Return the form, filled in as it was left; `submit(form, outcome)` is called when it is sent, `outcome` being the
 * place to say what has come of it.
 */
export function checkoutForm(submit, signal) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}");
  const outcome = h("div", { class: "outcome" });
  const weather = h("div");
  const button = h(
    "button",
    { class: "button button-primary button-wide", type: "submit" },
    icon("lock"),
    "Place the order",
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
      h("legend", null, h("h2", null, "Where it goes")),
      h(
        "div",
        { class: "fields" },
        text("name", "Name", { required: true, autocomplete: "name", maxlength: 200 }),
        text("line1", "Street and number", { required: true, autocomplete: "address-line1", maxlength: 200 }),
        text("line2", "Flat, floor, company", { autocomplete: "address-line2", maxlength: 200 }),
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
        text("email", "E-mail", {
          type: "email",
          autocomplete: "email",
          maxlength: 254,
          hint: "Kept with the order, and with nothing else.",
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
          "This shop takes its payments through a simulated provider: no card number is asked for, and no real " +
            "money moves. Choose how the bank is to behave.",
        ),
      ),
      weather,
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
  const followCountry = () => {
    const needed = listNeeded(form.elements.country.value);
    for (const name of ["postal_code", "city", "region"])
      setRequired(form.elements[name], needed.includes(name));
  };
  form.elements.country.addEventListener("change", followCountry);
  followCountry();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.hasAttribute("aria-busy")) submit(form, outcome);
  });
  watchPayments(weather, signal);
  return form;
}

function signIn(signal) {
  if (session.user) return null;
  const open = () => {
    const dialog = openDialog({ title: "Sign in or register", content: accountForms(() => dialog.close()) });
  };
  const hint = h(
    "p",
    { class: "small faint" },
    "You buy as a guest. ",
    h("button", { class: "button-link", type: "button", onclick: open }, "Sign in or register"),
    " to find your orders again on other devices.",
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

// Say beforehand that paying will take a while, and go on looking until it is over.
async function watchPayments(weather, signal) {
  try {
    for (let pause = 3000; !signal.aborted; pause = Math.min(pause * 1.5, 30_000)) {
      const isThere = await paymentsAnswer(signal);
      replace(
        weather,
        isThere
          ? null
          : h(
              "p",
              { class: "note note-warn", role: "status" },
              icon("clock"),
              h("span", null, PAYMENTS_AWAY),
            ),
      );
      if (isThere) return;
      await wait(pause, signal);
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

const PAYMENTS_AWAY =
  "The payment service does not answer just now. Your cart is kept; try again in a moment. An order placed now is " +
  "finished as soon as it answers, or given up after two minutes with nothing charged.";
