// The filters of the product list, with the number of products for each choice.
import { h, icon, replace } from "../lib/dom.js";
import { skeleton } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { toSentence } from "../lib/labels.js";
import { traceCategory } from "./catalog.js";

const BRANDS_SHOWN = 6;

/** The query parameters that filters set. */
export const FILTERS = ["category", "brand", "min_price", "max_price", "in_stock"];

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
  let all = false;
  let last = null;
  element.addEventListener("submit", (event) => event.preventDefault());

  function update(wanted, facets) {
    last = [wanted, facets];
    const focused = element.contains(document.activeElement) ? document.activeElement.id : null;
    const brands = facets.brands.filter(
      ({ name }, place) => all || place < BRANDS_SHOWN || wanted.getAll("brand").includes(name),
    );
    replace(
      element,
      choices("Category", "category", nameCategories(facets.categories), wanted, onchange),
      choices("Brand", "brand", brands, wanted, onchange),
      facets.brands.length > BRANDS_SHOWN &&
        h(
          "button",
          {
            class: "button-link small",
            type: "button",
            id: "all-brands",
            "aria-expanded": String(all),
            onclick: toggle,
          },
          all ? "Show fewer brands" : `Show all ${facets.brands.length} brands`,
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

  function toggle() {
    all = !all;
    update(...last);
  }

  return { element, update };
}

// A category below others is named with them: `Kitchen / Knives`.
function nameCategories(counts) {
  const titles = new Map(counts.map(({ name, title }) => [name, title]));
  return counts.map(({ name, count }) => ({
    name,
    count,
    title: traceCategory(name)
      .map(({ path, title }) => titles.get(path) ?? title)
      .join(" / "),
  }));
}

function choices(legend, name, counts, wanted, onchange) {
  const chosen = wanted.getAll(name);
  // A chosen value without matches must remain, so that the customer can clear it.
  const unmatched = chosen.filter((each) => !counts.some((count) => count.name === each));
  const all = [...counts, ...unmatched.map((each) => ({ name: each, count: 0 }))];
  if (!all.length) return null;
  return h(
    "fieldset",
    null,
    h("legend", null, legend),
    all.map(({ name: value, count, title = toSentence(value) }) =>
      box(
        name,
        value,
        title,
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
  for (const name of ["category", "brand"]) {
    const chosen = wanted.getAll(name);
    for (const value of chosen) {
      chips.push(
        chip(name === "category" ? titleOf(value) : toSentence(value), () => onchange({ [name]: chosen.filter((each) => each !== value) })),
      );
    }
  }
  if (wanted.has("min_price"))
    chips.push(chip(`From ${wanted.get("min_price")}`, () => onchange({ min_price: null })));
  if (wanted.has("max_price"))
    chips.push(chip(`Up to ${wanted.get("max_price")}`, () => onchange({ max_price: null })));
  if (wanted.has("in_stock")) chips.push(chip("In stock", () => onchange({ in_stock: null })));
  if (!chips.length) return null;
  const clear = () => onchange(Object.fromEntries(FILTERS.map((name) => [name, null])));
  return [...chips, h("button", { class: "button-link small", type: "button", onclick: clear }, "Clear all")];
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
