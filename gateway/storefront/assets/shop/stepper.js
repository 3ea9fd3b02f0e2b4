// A quantity field between two buttons.
import { h, icon } from "../lib/dom.js";
import { MAX_QUANTITY } from "./cart.js";

/** Return `{element, read(), limit(max)}` for a quantity of `label`; `onchange` gets each new number. */
export function stepper({ label, value, id, onchange, max = MAX_QUANTITY }) {
  const input = h("input", {
    id,
    type: "number",
    min: 1,
    max,
    value: String(value),
    inputmode: "numeric",
    "aria-label": `Quantity of ${label}`,
    onchange: () => set(Number.parseInt(input.value, 10)),
  });
  const minus = button("minus", `Decrease quantity for ${label}`, -1);
  const plus = button("plus", `Increase quantity for ${label}`, 1);

  function button(name, text, step) {
    const run = () => set(Number.parseInt(input.value, 10) + step);
    return h(
      "button",
      { type: "button", id: id && `${id}-${name}`, "aria-label": text, onclick: run },
      icon(name),
    );
  }

  function set(wanted) {
    const number = Math.min(max, Math.max(1, wanted || 1));
    input.value = String(number);
    mark(number);
    onchange?.(number);
  }

  function mark(number) {
    // `disabled` would drop the focus.
    minus.setAttribute("aria-disabled", String(number <= 1));
    plus.setAttribute("aria-disabled", String(number >= max));
  }

  function limit(most) {
    max = most;
    input.max = String(most);
    set(Number.parseInt(input.value, 10));
  }

  mark(value);
  const element = h("div", { class: "stepper" }, minus, input, plus);
  return { element, limit, read: () => Number.parseInt(input.value, 10) || 1 };
}
