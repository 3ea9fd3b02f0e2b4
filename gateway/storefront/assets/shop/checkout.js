// From the cart to an order.
import { call, Problem, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel, openDialog, problemPanel, skeleton } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { checkForm, clearProblems, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { dropKey, keepKey } from "../lib/keys.js";
import { linkTo, navigate } from "../lib/router.js";
import { session } from "../lib/session.js";
import { countOf } from "../lib/words.js";
import { accountForms } from "./account-forms.js";
import { cart } from "./cart.js";
import { picture, recall, remember } from "./catalog.js";
import { guessCountry, listCountries } from "./countries.js";
import { fetchDetails, nameOf, PRICES_AWAY, problemOf } from "./drawer.js";

export const title = "Checkout";

const PURPOSE = "checkout";
const DRAFT = "shopfleet.checkout";
const CARDS = [
  ["pm_card_visa", "Test card that is accepted", "The bank says yes at once."],
  ["pm_card_authenticationRequired", "Test card whose bank asks you", "You confirm the payment on the bank's page, as with 3-D Secure."],
  ["pm_card_chargeDeclined", "Test card that is declined", "The bank says no; nothing is charged."],
];
const HEALTH_PATIENCE = 3000;

export async function view({ signal }) {
  const body = h("div", null, skeleton("product", 5));
  const asked = new Set();
  let form = null;
  const summary = h("div", { class: "stack" });

  function show() {
    if (!cart.content) return;
    if (!cart.content.items.length) {
      form = null;
      replace(body, emptyCheckout());
      return;
    }
    if (!form) {
      form = checkoutForm(signal);
      replace(body, h("div", { class: "checkout" }, form, h("aside", { class: "card summary", "aria-label": "Your order" }, summary)));
    }
    replace(summary, showSummary());
    fetchDetails(cart.content.items, asked, signal).then((found) => found && show());
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
    "Was it ordered in another tab? Then it is among your orders.",
    h(
      "div",
      { class: "row" },
      h("a", { class: "button button-primary", href: linkTo("/") }, "Look around"),
      h("a", { class: "button", href: linkTo("/orders") }, "Your orders"),
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
          h("div", { class: "cart-picture" }, picture(recall(item.product_id), { size: 56 })),
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
    amount === null && h("p", { class: "note note-warn" }, icon("info"), PRICES_AWAY),
    h("p", { class: "row row-apart total" }, h("span", null, "Total"), h("strong", { class: "number" }, formatMoney(amount, currency))),
  ];
}

function removeButton(item) {
  return h(
    "p",
    { class: "small" },
    h(
      "button",
      { class: "button-link", type: "button", onclick: () => cart.remove(item.product_id).catch(() => {}) },
      "Remove",
      h("span", { class: "visually-hidden" }, ` ${nameOf(item)}`),
    ),
  );
}

function checkoutForm(signal) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? "{}");
  const outcome = h("div", { class: "outcome" });
  const weather = h("div");
  const button = h("button", { class: "button button-primary button-wide", type: "submit" }, icon("lock"), "Place the order");
  const text = (name, label, props) => field({ name, label, value: draft[name] ?? "", ...props });
  const form = h(
    "form",
    { class: "card card-body stack-wide", novalidate: true },
    outcome,
    signIn(),
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
        text("postal_code", "Postal code", { required: true, autocomplete: "postal-code", maxlength: 20, class: "third" }),
        text("city", "City", { required: true, autocomplete: "address-level2", maxlength: 100, class: "two-thirds" }),
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
        text("email", "E-mail", { type: "email", autocomplete: "email", maxlength: 254, hint: "Kept with the order, and with nothing else." }),
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
        h("span", null, "This shop takes its payments through a simulated provider: no card number is asked for, and no real money moves. Choose how the bank is to behave."),
      ),
      weather,
      h("div", { class: "cards" }, CARDS.map(([value, label, hint], place) => cardChoice(value, label, hint, value === draft.payment_method || (!draft.payment_method && place === 0)))),
    ),
    button,
  );
  form.addEventListener("input", () => sessionStorage.setItem(DRAFT, JSON.stringify(readForm(form))));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!form.hasAttribute("aria-busy")) submit(form, outcome, signal);
  });
  watchPayments(weather, signal);
  return form;
}

function signIn() {
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
  session.addEventListener("change", () => hint.remove(), { once: true });
  return hint;
}

function cardChoice(value, label, hint, checked) {
  const id = `card-${value}`;
  return h(
    "div",
    { class: "card-choice" },
    h("input", { type: "radio", name: "payment_method", id, value, checked, "aria-describedby": `${id}-hint` }),
    h("label", { for: id }, icon("card"), label),
    h("p", { class: "small faint", id: `${id}-hint` }, hint),
  );
}

// Say beforehand that paying will take a while, and go on looking until it is over.
async function watchPayments(weather, signal) {
  try {
    for (let pause = 3000; !signal.aborted; pause = Math.min(pause * 1.5, 30_000)) {
      const isThere = await paymentsAnswer(signal);
      replace(weather, isThere ? null : h("p", { class: "note note-warn", role: "status" }, icon("clock"), h("span", null, PAYMENTS_AWAY)));
      if (isThere) return;
      await wait(pause, signal);
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

export const PAYMENTS_AWAY =
  "The payment service does not answer just now. Your cart is kept; try again in a moment. An order placed now is " +
  "finished as soon as it answers, or given up after two minutes with nothing charged.";

/** Tell whether payments-service answers. */
export async function paymentsAnswer(signal) {
  try {
    await call("GET", "/healthz/payments-service", { signal: AbortSignal.any([signal, AbortSignal.timeout(HEALTH_PATIENCE)]) });
    return true;
  } catch (problem) {
    signal.throwIfAborted();
    return false;
  }
}

async function submit(form, outcome, signal) {
  replace(outcome);
  if (!checkForm(form)) return;
  await whileBusy(form, async () => {
    const { payment_method, email, ...shipping_address } = readForm(form);
    try {
      await cart.settle();
      const order = await placeOrder({ payment_method, shipping_address, email }, signal);
      dropKey(PURPOSE);
      await cart.refresh().catch(() => {});
      if (!signal.aborted) navigate(`/orders/${order.id}`, { placed: "yes" }, { replace: true });
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      handleProblem(form, outcome, problem);
    }
  });
}

// The key is kept until an answer says what has become of the order, so that pressing the button again is harmless.
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
  // A refusal of the body is not kept with the key; what was not answered is still open.
  if (problem.code === "validation_failed") {
    showProblems(form, problem);
    return;
  }
  const isOpen = problem.mayPass || problem.status >= 500;
  if (!isOpen) dropKey(PURPOSE);
  if ([402, 409, 422].includes(problem.status)) cart.refresh().catch(() => {});
  const { heading, text, extra } = explain(problem);
  const note = h(
    "div",
    { class: `note ${isOpen ? "note-warn" : "note-bad"}`, role: "alert", tabindex: "-1" },
    icon("alert"),
    h("div", { class: "stack-tight" }, h("strong", null, heading), h("p", null, text), extra),
  );
  replace(outcome, note);
  note.focus();
}

function explain(problem) {
  const { code, status, body, message } = problem;
  if (code === "payment_method_unsupported") {
    return { heading: "The payment provider does not know this card", text: "Choose another one. Nothing was charged." };
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
  if (code === "idempotency_key_reused") {
    return {
      heading: "An order of yours has arrived already",
      text: "It was sent a moment ago, with other details, and its answer was lost. Look at it before you place another.",
      extra: h("a", { href: linkTo("/orders") }, "Your orders"),
    };
  }
  if (problem.mayPass || status >= 500) {
    return {
      heading: "There was no answer",
      text: `${message} Place the order again: it is the same order, and is made only once.`,
    };
  }
  return { heading: "The order was not placed", text: message };
}

function stockLine({ product_id: id, available = 0 }) {
  const item = cart.content?.items.find(({ product_id: each }) => each === id) ?? { product_id: id, title: null };
  // The catalogue's list may be some seconds old, and this is not.
  if (recall(id)) remember([{ ...recall(id), stock: available }]);
  const take = available > 0;
  const run = () => (take ? cart.setQuantity(id, available) : cart.remove(id).catch(() => {}));
  const button = h("button", { class: "button-link", type: "button" }, take ? `Take ${available}` : "Remove it");
  const line = h("li", null, `${nameOf(item)}: ${take ? `only ${available} left` : "none left"}. `, button);
  button.addEventListener("click", () => {
    run();
    button.replaceWith(take ? "Changed." : "Removed.");
  });
  return line;
}
