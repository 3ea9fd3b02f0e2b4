// How many of something: a number between two buttons.
import { h, icon } from "../lib/dom.js";
import { MOST_UNITS } from "./cart.js";

/** Return a stepper; `label` says of what, `onchange` is told each new number. */
export function stepper({ label, value, id, onchange, most = MOST_UNITS }) {
  const input = h("input", {
    id,
    type: "number",
    min: 1,
    max: most,
    value: String(value),
    inputmode: "numeric",
    "aria-label": `Quantity of ${label}`,
    onchange: () => set(Number.parseInt(input.value, 10)),
  });
  const fewer = button("minus", `One ${label} fewer`, -1);
  const more = button("plus", `One ${label} more`, 1);

  function button(name, text, step) {
    const run = () => set(Number.parseInt(input.value, 10) + step);
    return h(
      "button",
      { type: "button", id: id && `${id}-${name}`, "aria-label": text, onclick: run },
      icon(name),
    );
  }

  function set(wanted) {
    const number = Math.min(most, Math.max(1, wanted || 1));
    input.value = String(number);
    mark(number);
    onchange?.(number);
  }

  function mark(number) {
    // Not `disabled`, which would lose the focus.
    fewer.setAttribute("aria-disabled", String(number <= 1));
    more.setAttribute("aria-disabled", String(number >= most));
  }

  mark(value);
  const element = h("div", { class: "stepper" }, fewer, input, more);
  return { element, read: () => Number.parseInt(input.value, 10) || 1 };
}
