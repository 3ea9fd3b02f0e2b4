// The prices of a shipping method by weight or by amount, as rows.
import { h, icon } from "../lib/dom.js";
import { field } from "../lib/forms.js";
import { moneyField, toMinor } from "./pricing.js";

const MAX_STEPS = 50;
const MAX_GRAMS = 100_000_000;

/**
 * Return `{node, check(), read()}` for the steps that begin at `start`, which is `from_weight_grams` or
 * `from_amount`. The names of the controls are those of the API's errors, such as `prices.0.price`.
 */
export function priceSteps(start, steps, currency) {
  const isWeight = start === "from_weight_grams";
  const rows = h("div", { class: "stack", oninput: check });
  const node = h(
    "fieldset",
    { class: "price-steps" },
    h("legend", null, isWeight ? "Prices by weight" : "Prices by amount of the items"),
    h(
      "p",
      { class: "field-hint" },
      isWeight
        ? "Each price applies from its weight on. Below the lowest weight, customers cannot choose the method."
        : "Each price applies from its amount after discounts on. Below the lowest, customers cannot choose the method.",
    ),
    rows,
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button button-small", type: "button", onclick: add }, icon("plus"), "Add a price"),
    ),
  );
  for (const step of steps.length ? sortSteps(steps) : [{ [start]: 0 }]) rows.append(makeRow(step));
  number();

  function makeRow(step) {
    const from = isWeight
      ? field({
          label: "From (g)",
          name: "",
          type: "number",
          inputmode: "numeric",
          required: true,
          min: 0,
          max: MAX_GRAMS,
          step: 1,
          value: step[start] ?? "",
        })
      : moneyField({ label: "From", name: "", currency, amount: step[start], required: true });
    const row = h(
      "div",
      { class: "price-step", role: "group" },
      from,
      moneyField({ label: "Price", name: "", currency, amount: step.price, required: true }),
      h("button", { class: "button-icon", type: "button", onclick: () => remove(row) }, icon("trash")),
    );
    return row;
  }
  function add() {
    if (rows.children.length >= MAX_STEPS) return;
    const row = makeRow({});
    rows.append(row);
    number();
    row.querySelector("input").focus();
  }
  function remove(row) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    number();
    check();
    next.querySelector("input").focus();
  }
  function number() {
    for (const [place, row] of [...rows.children].entries()) {
      const [from, price] = row.querySelectorAll("input");
      from.name = `prices.${place}.${start}`;
      price.name = `prices.${place}.price`;
      row.setAttribute("aria-label", `Price ${place + 1}`);
      const button = row.querySelector("button");
      button.setAttribute("aria-label", `Remove price ${place + 1}`);
      // A method needs a price.
      button.hidden = rows.children.length === 1;
    }
  }
  /** Mark a step that begins where an earlier one does, so that the form is not sent. */
  function check() {
    const inputs = [...rows.children].map((row) => row.querySelector("input"));
    const starts = inputs.map(({ value }) => value && Number(value));
    for (const [place, input] of inputs.entries()) {
      const isTwice = starts[place] !== "" && starts.indexOf(starts[place]) !== place;
      input.setCustomValidity(isTwice ? "Another price begins here." : "");
    }
  }
  function read() {
    return [...rows.children].map((row) => {
      const [from, price] = [...row.querySelectorAll("input")].map(({ value }) => Number(value));
      return { [start]: isWeight ? from : toMinor(from, currency), price: toMinor(price, currency) };
    });
  }
  return { node, check, read };
}

/** Return the steps of a method from the lowest weight or amount on. */
export function sortSteps(steps) {
  const startOf = ({ from_weight_grams: grams, from_amount: amount }) => grams ?? amount;
  return [...steps].sort((one, other) => startOf(one) - startOf(other));
}
