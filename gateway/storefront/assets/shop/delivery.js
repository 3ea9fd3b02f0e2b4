// The choice of a shipping method in the checkout, which follows the address.
import { Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { cart } from "./cart.js";

// Milliseconds after the last key in the address.
const DEBOUNCE = 400;
const PLACE = ["country", "region", "postal_code"];
export const METHOD = "shipping_method";

/**
 * Return `{element, settle}`: the choice of the form's shipping method, and a function that resolves once the
 * cart has what the form says.
 */
export function deliveryChoice(form, signal) {
  const room = h("div");
  let [timer, sending, shown] = [null, Promise.resolve(), null];
  // What the customer has chosen and the cart does not have yet.
  let picked = null;

  const chosen = () => picked ?? (form.elements[METHOD]?.value || null);

  function readDelivery() {
    const place = PLACE.map((name) => [name, form.elements[name].value.trim() || null]);
    return { ...Object.fromEntries(place), [METHOD]: chosen() };
  }

  /** Send the address and the method, if the cart has others. */
  async function send() {
    clearTimeout(timer);
    timer = null;
    if (!cart.content) return;
    const wanted = readDelivery();
    const known = cart.content.delivery;
    if (known && !known.problem && Object.entries(wanted).every(([name, value]) => known[name] === value)) return;
    try {
      await put(wanted);
      if (picked === wanted[METHOD]) picked = null;
      show();
    } catch (problem) {
      // An incomplete address is an error of its field when the order is sent.
      if (!(problem instanceof Problem) || signal.aborted) throw problem;
    }
  }

  async function put(delivery) {
    try {
      await cart.change("PUT", "/cart/delivery", delivery);
    } catch (problem) {
      // The method does not deliver there, or was removed: the customer sees those that do.
      if (problem.code !== "shipping_method_unavailable") throw problem;
      await cart.change("PUT", "/cart/delivery", { ...delivery, [METHOD]: null });
    }
  }

  function enqueue() {
    sending = sending.then(send).catch((error) => {
      if (!(error instanceof Problem)) throw error;
    });
    return sending;
  }

  function show() {
    const { shipping_options: options = [], needs_shipping: isNeeded, delivery, currency } = cart.content ?? {};
    if (!options.some(({ code }) => code === picked)) picked = null;
    const selected = picked ?? (delivery?.problem ? null : delivery?.[METHOD]);
    const state = JSON.stringify([options, isNeeded]);
    if (state !== shown) {
      const had = room.querySelector(":focus")?.value;
      shown = state;
      replace(room, isNeeded && choice(options, currency));
      if (isNeeded && !options.length) announce(NOT_THERE);
      if (had) room.querySelector(`input[value="${CSS.escape(had)}"]`)?.focus();
    }
    for (const input of room.querySelectorAll("input")) input.checked = input.value === selected;
    // The first one, which the shop prefers, until the customer chooses.
    const first = room.querySelector("input");
    if (first && !room.querySelector(":checked")) {
      first.checked = true;
      picked = first.value;
      enqueue();
    }
  }

  form.addEventListener(
    "input",
    ({ target }) => {
      if (target.name === METHOD) {
        picked = target.value;
        enqueue();
      }
      // A known address changes all fields, and is an event of the form.
      else if (target === form || PLACE.includes(target.name)) {
        clearTimeout(timer);
        timer = setTimeout(enqueue, DEBOUNCE);
      }
    },
    { signal },
  );
  cart.addEventListener("change", show, { signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  return {
    element: room,
    start() {
      show();
      enqueue();
    },
    settle: enqueue,
  };
}

const NOT_THERE = "The shop does not deliver these items to this address.";

function choice(options, currency) {
  return h(
    "fieldset",
    null,
    h("legend", null, h("h2", null, "Delivery")),
    options.length
      ? h(
          "div",
          { class: "cards" },
          options.map((option) => methodChoice(option, currency)),
        )
      : h("p", { class: "note note-warn" }, icon("info"), NOT_THERE),
  );
}

function methodChoice({ code, title, amount, delivery_time: time }, currency) {
  const id = `method-${code}`;
  return h(
    "div",
    { class: "card-choice" },
    h("input", { type: "radio", name: METHOD, id, value: code, "aria-describedby": `${id}-hint` }),
    h(
      "label",
      { for: id },
      icon("truck"),
      h("span", null, title),
      h("span", { class: "number" }, amount ? formatMoney(amount, currency) : "Free"),
    ),
    h("p", { class: "small faint", id: `${id}-hint` }, time ?? ""),
  );
}
