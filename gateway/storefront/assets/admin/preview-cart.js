// The cart of the preview: a search for products, and lines with quantities.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce } from "../lib/feedback.js";
import { field, whileBusy } from "../lib/forms.js";
import { currentPrice } from "../shop/price.js";
import { showingProblem } from "./parts.js";

const SHOWN = 5; // Products that a search lists.
const MAX_QUANTITY = 1000;

/**
 * Return `{node, lines, nameOf(variantId), focus()}`; `lines` are the items for the API. The quantities belong to
 * the form with the id `formId`, which checks them. `onChange` is called after each change.
 */
export function previewCart({ formId, currency, signal, onChange }) {
  const lines = [];
  const results = h("div", { class: "notice-room" });
  const list = h("ul", { class: "preview-lines", "aria-label": "Products in the cart" });
  const search = h(
    "form",
    { class: "inline-form", role: "search", "aria-label": "Products", novalidate: true, onsubmit: find },
    field({
      label: "Find a product by its number or words",
      name: "q",
      type: "search",
      maxlength: 200,
      autocomplete: "off",
    }),
    h("button", { class: "button", type: "submit" }, icon("search"), "Find"),
  );

  async function find(event) {
    event.preventDefault();
    const words = search.elements.q.value.trim();
    if (!words) return;
    await whileBusy(search, () =>
      showingProblem(results, async () => {
        const found = await fetchMatches(words, signal);
        replace(
          results,
          found.length
            ? h("ul", { class: "preview-lines", "aria-label": "Found products" }, found.map(result))
            : h("p", { class: "faint" }, "No product matches."),
        );
        announce(found.length ? `${found.length} found.` : "No product matches.");
      }),
    );
  }
  function result(product) {
    return h(
      "li",
      null,
      h(
        "span",
        { class: "value" },
        `${product.id}: ${product.title} `,
        h("span", { class: "faint" }, currentPrice(product)),
      ),
      h(
        "button",
        {
          class: "button button-small",
          type: "button",
          "aria-label": `Add ${product.title}`,
          onclick: () => add(product),
        },
        icon("plus"),
        "Add",
      ),
    );
  }
  async function add({ id }) {
    await showingProblem(results, async () => {
      const { title, variants } = await call("GET", `/products/${id}`, { signal });
      const known = lines.find((line) => line.id === id);
      if (known && variants.length === 1) known.quantity = Math.min(known.quantity + 1, MAX_QUANTITY);
      else lines.push({ id, title, variants, variantId: variants[0].id, quantity: 1 });
      search.elements.q.value = "";
      show();
      announce(`Added ${title}.`);
      list.querySelector("li:last-child input").focus();
    });
  }
  function show() {
    replace(list, lines.map(row));
    onChange();
  }
  function row(line, place) {
    const { title, variants } = line;
    const quantity = `${formId}-quantity-${place}`;
    return h(
      "li",
      null,
      h("span", { class: "value" }, title),
      h(
        "div",
        { class: "preview-line" },
        variants.length > 1 &&
          h(
            "select",
            {
              "aria-label": `Variant of ${title}`,
              value: String(line.variantId),
              onchange: ({ target }) => {
                line.variantId = Number(target.value);
                onChange();
              },
            },
            variants.map((variant) => h("option", { value: String(variant.id) }, variant.title)),
          ),
        h("input", {
          // The API names this field in its errors.
          name: `items.${place}.quantity`,
          id: quantity,
          "aria-describedby": `${quantity}-error`,
          form: formId,
          type: "number",
          inputmode: "numeric",
          "aria-label": `Quantity of ${title}`,
          required: true,
          min: 1,
          max: MAX_QUANTITY,
          step: 1,
          value: line.quantity,
          oninput: ({ target }) => {
            line.quantity = Number(target.value);
            onChange();
          },
        }),
        h(
          "button",
          { class: "button-icon", type: "button", "aria-label": `Remove ${title}`, onclick: () => remove(line) },
          icon("trash"),
        ),
      ),
      h("p", { class: "field-error", id: `${quantity}-error` }),
    );
  }
  function remove(line) {
    lines.splice(lines.indexOf(line), 1);
    show();
    search.elements.q.focus();
  }
  return {
    node: h("div", { class: "stack" }, search, results, list),
    get lines() {
      return lines.map(({ variantId, quantity }) => ({ variant_id: variantId, quantity }));
    },
    nameOf: (id) => lines.find(({ variantId }) => variantId === id)?.title ?? `product ${id}`,
    focus: () => search.elements.q.focus(),
  };
}

/** Resolve to the product with this number, or to the first ones that match the words. */
async function fetchMatches(words, signal) {
  if (/^\d+$/.test(words)) {
    try {
      return [await call("GET", `/products/${words}`, { signal })];
    } catch (problem) {
      // A number may also be a part of a title.
      if (problem.status !== 404) throw problem;
    }
  }
  const page = await call("GET", "/products", { query: { q: words, limit: SHOWN }, signal });
  return page?.data ?? [];
}
