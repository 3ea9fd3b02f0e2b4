// The choice among the variants of a product: one group of radio buttons for each option.
import { h } from "../lib/dom.js";
import { announce } from "../lib/feedback.js";
import { setQuery } from "../lib/router.js";
import { asSold } from "./catalog.js";

const LIST = new Intl.ListFormat(undefined, { type: "conjunction" });
const UNAVAILABLE = "Unavailable";
const SOLD_OUT = "Sold out";

/**
 * Return the choice as `{element, message, check(), start()}`; `wanted` is the id of the first variant.
 *
 * `onchange(offer, canBuy)` gets what is on sale within the choice: the variant, or the price range and the
 * stock of all variants that are still possible. Its `stock` is null if the combination does not exist.
 * `start()` calls it for the first choice. `check()` returns the chosen variant; without one in stock it explains why,
 * moves the focus to the missing option, and returns null.
 */
export function variantChoice(product, wanted, onchange) {
  const { variants } = product;
  const linked = variants.find(({ id }) => String(id) === wanted);
  const options = product.options.map(({ name, values }) => ({
    name,
    values: values.filter((value) => variants.some((variant) => variant.options[name] === value)),
  }));
  // An option with one value leaves no choice.
  const single = options
    .filter(({ values }) => values.length === 1)
    .map(({ name, values }) => [name, values[0]]);
  const chosen = new Map(Object.entries(linked?.options ?? Object.fromEntries(single)));
  const message = h("p", { class: "choice-problem small", id: "choice-problem", role: "alert" });
  const groups = options.map((option, place) =>
    optionGroup(option, place, chosen.get(option.name), (value) => choose(option.name, value)),
  );

  function choose(name, value) {
    chosen.set(name, value);
    const variant = findVariant();
    setQuery(variant ? { variant: variant.id } : {});
    show();
    if (variant?.stock > 0) announce(`${variant.title}, in stock`);
  }

  function show() {
    for (const { name, mark } of groups) mark((value) => stateOf(name, value));
    const reason = findReason();
    message.textContent = reason ?? "";
    onchange(findOffer(), !reason);
  }

  function start() {
    show();
    if (wanted && !linked) message.textContent = "This variant is no longer available. Choose another one.";
  }

  function check() {
    const missing = groups.filter(({ name }) => !chosen.has(name));
    const reason = missing.length
      ? `Choose ${LIST.format(missing.map(({ name }) => name))} first.`
      : findReason();
    if (!reason) return asSold(product, findVariant());
    // An alert is read again only if its text changes.
    if (message.textContent === reason) announce(reason);
    message.textContent = reason;
    missing[0]?.focus();
    return null;
  }

  // The variants of the chosen values, apart from those of one option.
  function matching(except) {
    const others = [...chosen].filter(([name]) => name !== except);
    return variants.filter((variant) => others.every(([name, value]) => variant.options[name] === value));
  }

  function findVariant() {
    return chosen.size === options.length ? matching()[0] : undefined;
  }

  function stateOf(name, value) {
    return describeState(matching(name).filter((variant) => variant.options[name] === value));
  }

  // Why a complete choice cannot be bought; null if it can, or if a value is missing.
  function findReason() {
    if (chosen.size < options.length) return null;
    const state = describeState(matching());
    const combination = options.map(({ name }) => chosen.get(name)).join(" / ");
    return state && `${combination} is ${state.toLowerCase()}. Choose another combination.`;
  }

  function findOffer() {
    const variant = findVariant();
    if (variant) return { ...variant, currency: product.currency };
    const possible = matching();
    const amounts = (possible.length ? possible : variants).map(({ unit_amount: amount }) => amount);
    return {
      currency: product.currency,
      unit_amount: Math.min(...amounts),
      highest_unit_amount: Math.max(...amounts),
      stock: possible.length ? possible.reduce((sum, { stock }) => sum + stock, 0) : null,
      sku: "–",
    };
  }

  const element = h(
    "div",
    { class: "choices" },
    groups.map((group) => group.element),
  );
  return { element, message, check, start };
}

function describeState(variants) {
  if (!variants.length) return UNAVAILABLE;
  return variants.every(({ stock }) => stock === 0) ? SOLD_OUT : null;
}

// Return `{name, element, mark(stateOf), focus()}`; each value shows its state, and remains selectable.
function optionGroup({ name, values }, place, first, onchange) {
  const choices = values.map((value) => {
    const state = h("span", { class: "choice-state" });
    const input = h("input", {
      type: "radio",
      name: `option-${place}`,
      value,
      checked: value === first,
      "aria-describedby": "choice-problem",
      onchange: () => onchange(value),
    });
    const label = h("label", { class: "choice" }, input, h("span", { class: "choice-value" }, value), state);
    return { value, state, input, label };
  });

  function mark(stateOf) {
    for (const { value, state, label } of choices) {
      const text = stateOf(value);
      state.textContent = text ?? "";
      label.classList.toggle("choice-unavailable", text !== null);
    }
  }

  const element = h(
    "fieldset",
    null,
    h("legend", { class: "small" }, name),
    h(
      "div",
      { class: "choice-row" },
      choices.map(({ label }) => label),
    ),
  );
  return { name, element, mark, focus: () => choices[0].input.focus() };
}
