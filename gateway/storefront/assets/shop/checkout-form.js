// The checkout form: the addresses, how to reach the customer, and payment.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { field, readForm, setRequired } from "../lib/forms.js";
import { session } from "../lib/session.js";
import { addressChoice, fetchAddresses, saveAddress } from "./addresses.js";
import { accountForms } from "./account-forms.js";
import { cart } from "./cart.js";
import { guessCountry, listCountries, listRequired } from "./countries.js";
import { deliveryChoice, METHOD } from "./delivery.js";
import { isPaymentsUp } from "./health.js";

const DRAFT = "shopfleet.checkout";
const SAME = "is_billed_there";
const SAVE = "is_saved";
const BILLING = "billing_address.";
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
 * Return the form with the customer's draft, and its choice of a delivery; `submit(form, outcome, save)` is called on
 * submit. `outcome` is the element for the result; `save(order)` keeps the address of a placed order if the customer
 * wants it.
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
  const text = (name, label, { fallback = "", ...props } = {}) =>
    field({ name, label, value: draft[name] ?? fallback, ...props });
  const billing = h("div");
  const billingFields = h("div", { class: "fields" }, addressFields(text, BILLING, "billing"));
  const [choice, saving] = [h("div", { class: "known-address" }), h("div")];
  let known = [];
  const deliveryRoom = h("div");
  const form = h(
    "form",
    { class: "card card-body stack-wide", novalidate: true },
    outcome,
    signIn(signal),
    h(
      "fieldset",
      null,
      h("legend", null, h("h2", null, "Shipping address")),
      choice,
      h(
        "div",
        { class: "fields" },
        addressFields(text, "", "shipping"),
        text("email", "Email", {
          type: "email",
          autocomplete: "email",
          maxlength: 254,
          class: "half",
          hint: "Gets the mails about this order.",
        }),
        text("phone", "Phone", {
          type: "tel",
          autocomplete: "shipping tel",
          maxlength: 40,
          class: "half",
          hint: "For questions about the delivery.",
        }),
        text("note", "Note to the shop", { type: "textarea", maxlength: 1000 }),
        saving,
      ),
    ),
    deliveryRoom,
    h(
      "fieldset",
      null,
      h("legend", null, h("h2", null, "Billing address")),
      field({
        name: SAME,
        label: "The same as the shipping address",
        type: "checkbox",
        checked: draft[SAME] ?? true,
        onchange: showBilling,
      }),
      billing,
    ),
    h(
      "fieldset",
      { class: "payment" },
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
  function showBilling() {
    // Fields that are not there are neither checked nor sent.
    replace(billing, form.elements[SAME].checked ? null : billingFields);
    // The draft has what is in the form now.
    form.dispatchEvent(new Event("input"));
  }
  /** Fill in the user's email address, and offer the addresses that the shop knows and to save the new one. */
  async function showBook() {
    known = [];
    if (session.user) {
      try {
        const [user, found] = await Promise.all([
          call("GET", "/auth/me", { signal }),
          fetchAddresses(signal),
        ]);
        known = found;
        form.elements.email.value ||= user.email ?? "";
      } catch (problem) {
        // The customer can enter the address.
        if (problem.name !== "Problem" && problem.name !== "AbortError") throw problem;
      }
    }
    replace(choice, known.length > 0 && addressChoice(known, fill));
    const label = "Save this address in my account";
    replace(saving, session.user && field({ name: SAVE, label, type: "checkbox", checked: draft[SAVE] ?? false }));
  }
  function fill({ id: _id, ...address }) {
    for (const [name, value] of Object.entries(address)) form.elements[name].value = value ?? "";
    form.elements.country.dispatchEvent(new Event("change"));
    form.dispatchEvent(new Event("input"));
  }
  async function save({ shipping_address: address }) {
    if (form.elements[SAVE]?.checked) await saveAddress(address, known);
  }
  followCountry(form, "");
  followCountry(billingFields, BILLING);
  showBilling();
  // Without an account, the order can only be found again by its email address.
  const applyUser = () => {
    setRequired(form.elements.email, !session.user);
    showBook();
  };
  session.addEventListener("change", applyUser, { signal });
  applyUser();
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.hasAttribute("aria-busy")) submit(form, outcome, save);
  });
  watchPayments(paymentsNotice, signal);
  const delivery = deliveryChoice(form, signal);
  deliveryRoom.replaceWith(delivery.element);
  // An order that costs nothing needs no payment.
  const showPayment = () => {
    form.querySelector(".payment").hidden = cart.content?.amount === 0;
  };
  cart.addEventListener("change", showPayment, { signal });
  showPayment();
  return { form, delivery };
}

/** Return the body of an order from the values of the form. */
export function readOrder(form) {
  const {
    payment_method,
    email,
    note,
    [METHOD]: shipping_method = null,
    [SAME]: isSame,
    [SAVE]: _save,
    ...values
  } = readForm(form);
  const entries = Object.entries(values);
  const billing = entries
    .filter(([name]) => name.startsWith(BILLING))
    .map(([name, value]) => [name.slice(BILLING.length), value]);
  return {
    payment_method,
    email,
    note,
    shipping_method,
    shipping_address: Object.fromEntries(entries.filter(([name]) => !name.startsWith(BILLING))),
    ...(!isSame && { billing_address: Object.fromEntries(billing) }),
  };
}

/** Return the fields of an address; their names begin with `prefix`. */
function addressFields(text, prefix, kind) {
  const part = (name, label, autocomplete, maxlength, props) =>
    text(prefix + name, label, { autocomplete: `${kind} ${autocomplete}`, maxlength, ...props });
  return [
    part("name", "Name", "name", 200, { required: true }),
    part("line1", "Street address", "address-line1", 200, { required: true }),
    part("line2", "Apartment, suite, company", "address-line2", 200),
    part("postal_code", "Postal code", "postal-code", 20, { class: "third" }),
    part("city", "City", "address-level2", 100, { class: "two-thirds" }),
    part("region", "State or region", "address-level1", 100, { class: "half" }),
    part("country", "Country", "country", null, {
      type: "select",
      options: listCountries(),
      fallback: guessCountry(),
      required: true,
      class: "half",
    }),
  ];
}

/** Require the fields that the chosen country uses, now and after each change of the country. */
function followCountry(room, prefix) {
  const find = (name) => room.querySelector(`[name="${prefix}${name}"]`);
  const country = find("country");
  const apply = () => {
    const required = listRequired(country.value);
    for (const name of ["postal_code", "city", "region"])
      setRequired(find(name), required.includes(name));
  };
  country.addEventListener("change", apply);
  apply();
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
