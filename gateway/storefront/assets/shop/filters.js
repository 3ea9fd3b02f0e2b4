// The filters of the product list, with the number of products for each choice.
import { h, icon, replace } from "../lib/dom.js";
import { skeleton } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { toSentence } from "../lib/labels.js";
import { traceCategory } from "./catalog.js";

const VALUES_SHOWN = 6; // Of a brand, an option or a metadata key, until the customer wants to see all.

const FILTERS = ["category", "brand", "min_price", "max_price", "in_stock"];
// The parameters of an option's filter and of a metadata key's are `option.Size` and `meta.material`.
const OPTION = "option.";
const META = "meta.";

/** Return the names of the query parameters that filter a list. */
export function namesOfFilters(wanted) {
  return [...FILTERS, ...namesOf(OPTION, wanted), ...namesOf(META, wanted)];
}

function namesOf(prefix, wanted) {
  return [...new Set(wanted.keys())].filter((name) => name.startsWith(prefix));
}

/**
 * Return the panel. `onchange(changes)` gets an object of query parameters: a list for a repeated one, null
 * for a removed one.
 */
export function filterPanel(onchange) {
  const element = h(
    "form",
    { class: "filters", id: "filters", "aria-label": "Filters" },
    skeleton("lines", 10),
  );
  // The names of the filters that show all of their values.
  const unfolded = new Set();
  let last = null;
  element.addEventListener("submit", (event) => event.preventDefault());

  function update(wanted, facets) {
    last = [wanted, facets];
    const focused = element.contains(document.activeElement) ? document.activeElement.id : null;
    replace(
      element,
      choices("Category", "category", facets.categories, wanted, onchange, nameCategories(facets.categories)),
      folding("Brand", "brand", facets.brands, "brands", toSentence),
      listNamed(OPTION, wanted, facets.options).map(({ name, values }) =>
        folding(name, `${OPTION}${name}`, values, `values of ${name}`),
      ),
      listNamed(META, wanted, facets.metadata).map(({ name, values }) =>
        folding(toSentence(name), `${META}${name}`, values, `values of ${name}`, nameValue),
      ),
      prices(wanted, facets.price, onchange),
      h(
        "fieldset",
        null,
        h("legend", null, "Availability"),
        box("in_stock", "true", "In stock only", wanted.get("in_stock") === "true", ({ target }) =>
          onchange({ in_stock: target.checked ? "true" : null }),
        ),
      ),
    );
    if (focused) document.getElementById(focused)?.focus();
  }

  // The most frequent values, and a button that shows the others.
  function folding(legend, name, counts, noun, describe) {
    const [wanted] = last;
    const all = unfolded.has(name);
    const shown = counts.filter(
      ({ name: value }, place) => all || place < VALUES_SHOWN || wanted.getAll(name).includes(value),
    );
    const toggle = () => {
      if (!unfolded.delete(name)) unfolded.add(name);
      update(...last);
    };
    return [
      choices(legend, name, shown, wanted, onchange, describe),
      counts.length > VALUES_SHOWN &&
        h(
          "button",
          {
            class: "button-link small",
            type: "button",
            id: `all-${name}`,
            "aria-expanded": String(all),
            onclick: toggle,
          },
          all ? `Show fewer ${noun}` : `Show all ${counts.length} ${noun}`,
        ),
    ];
  }

  return { element, update };
}

// A category below others is named with them: `Kitchen / Knives`.
function nameCategories(counts) {
  const titles = new Map(counts.map(({ name, title }) => [name, title]));
  return (category) =>
    traceCategory(category)
      .map(({ path, title }) => titles.get(path) ?? title)
      .join(" / ");
}

// The options or metadata keys of the matching products, and those that the customer filters by.
function listNamed(prefix, wanted, counted = []) {
  const unmatched = namesOf(prefix, wanted)
    .map((name) => name.slice(prefix.length))
    .filter((name) => !counted.some((each) => each.name === name));
  return [...counted, ...unmatched.map((name) => ({ name, values: [] }))];
}

// A boolean of the metadata is `true` or `false` in a filter.
function nameValue(value) {
  return { true: "Yes", false: "No" }[value] ?? value;
}

// `describe` returns the text of a value; an option's value is a text already.
function choices(legend, name, counts, wanted, onchange, describe = (value) => value) {
  const chosen = wanted.getAll(name);
  // A chosen value without matches must remain, so that the customer can clear it.
  const unmatched = chosen.filter((each) => !counts.some((count) => count.name === each));
  const all = [...counts, ...unmatched.map((each) => ({ name: each, count: 0 }))];
  if (!all.length) return null;
  return h(
    "fieldset",
    null,
    h("legend", null, legend),
    all.map(({ name: value, count }) =>
      box(
        name,
        value,
        describe(value),
        chosen.includes(value),
        ({ target }) => {
          const rest = chosen.filter((each) => each !== value);
          onchange({ [name]: target.checked ? [...rest, value] : rest });
        },
        count,
      ),
    ),
  );
}

function box(name, value, text, checked, onchange, count) {
  const id = `filter-${name}-${value}`;
  return h(
    "div",
    { class: "filter" },
    h("input", { type: "checkbox", id, checked, onchange }),
    h("label", { for: id }, text),
    count !== undefined &&
      h("span", { class: "small faint number", "aria-hidden": "true" }, formatNumber(count)),
  );
}

function prices(wanted, range, onchange) {
  if (range.min === null && !wanted.has("min_price") && !wanted.has("max_price")) return null;
  const control = (name, label, hint) =>
    h("input", {
      id: `filter-${name}`,
      type: "number",
      min: 0,
      step: "any",
      inputmode: "decimal",
      "aria-label": label,
      placeholder: hint === null ? "" : String(hint),
      value: wanted.get(name) ?? "",
      onchange: ({ target }) => onchange({ [name]: target.validity.valid ? target.value : null }),
    });
  return h(
    "fieldset",
    null,
    h("legend", null, "Price"),
    h(
      "div",
      { class: "price-range" },
      control("min_price", "Minimum price", range.min && Math.floor(range.min)),
      h("span", { "aria-hidden": "true" }, "–"),
      control("max_price", "Maximum price", range.max && Math.ceil(range.max)),
    ),
  );
}

/**
 * Return a chip for each active filter, which removes it; null without filters. `titleOf(path)` returns the
 * title of a category.
 */
export function filterChips(wanted, onchange, titleOf) {
  const chips = [];
  for (const name of ["category", "brand", ...namesOf(OPTION, wanted), ...namesOf(META, wanted)]) {
    const chosen = wanted.getAll(name);
    for (const value of chosen) {
      chips.push(
        chip(nameChoice(name, value, titleOf), () =>
          onchange({ [name]: chosen.filter((each) => each !== value) }),
        ),
      );
    }
  }
  if (wanted.has("min_price"))
    chips.push(chip(`From ${wanted.get("min_price")}`, () => onchange({ min_price: null })));
  if (wanted.has("max_price"))
    chips.push(chip(`Up to ${wanted.get("max_price")}`, () => onchange({ max_price: null })));
  if (wanted.has("in_stock")) chips.push(chip("In stock", () => onchange({ in_stock: null })));
  if (!chips.length) return null;
  const clear = () => onchange(Object.fromEntries(namesOfFilters(wanted).map((name) => [name, null])));
  return [...chips, h("button", { class: "button-link small", type: "button", onclick: clear }, "Clear all")];
}

function nameChoice(name, value, titleOf) {
  if (name === "category") return titleOf(value);
  if (name.startsWith(OPTION)) return `${name.slice(OPTION.length)}: ${value}`;
  if (name.startsWith(META)) return `${toSentence(name.slice(META.length))}: ${nameValue(value)}`;
  return toSentence(value);
}

function chip(text, remove) {
  return h(
    "button",
    { class: "chip", type: "button", onclick: remove },
    h("span", { class: "visually-hidden" }, "Remove filter: "),
    text,
    icon("close"),
  );
}
