// What a product sells: one price and one stock, or options with a table of variants.
import { h, replace } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { field, readForm } from "../lib/forms.js";
import { minorUnits } from "../lib/format.js";
import { explainLoss, optionsEditor } from "./options.js";
import { FIELDS } from "./product-form.js";
import { columnsFor, normalize, showAmount } from "./variant-columns.js";
import { VariantSet } from "./variant-set.js";
import { variantsTable } from "./variants-table.js";

/**
 * Return the editor of what `product` sells, or a new product if it is null: `{node, set, isSplit, check(),
 * read(form), showNotes()}`. `onMode(isSplit)` is called when the admin adds or removes the options.
 */
export function soldFields({ product, currency, onMode = () => {} }) {
  const { options = [], variants = [] } = product ?? {};
  const set = new VariantSet(columnsFor(currency), { options, variants });
  const simple = simpleFields(product, currency);
  const split = h("div", { class: "stack" });
  const fault = h("p", { class: "field-error", role: "alert" });
  const tick = field({
    label: "This product has options",
    name: "",
    type: "checkbox",
    hint: "Such as sizes or colours, each with its own price and stock.",
    onchange: (event) => (event.target.checked ? begin() : end()),
  });
  const checkbox = tick.querySelector("input");
  let isSplit = options.length > 0;
  let table = null;
  if (isSplit) open();
  setMode(isSplit);

  function setMode(now) {
    isSplit = now;
    checkbox.checked = now;
    simple.hidden = now;
    split.hidden = !now;
    fault.textContent = "";
    for (const control of simple.querySelectorAll("input")) control.disabled = now;
    onMode(now);
  }
  function open() {
    table = variantsTable(set);
    const editor = optionsEditor(set, () => {
      fault.textContent = "";
      table.node.hidden = !set.active.length;
      table.render();
    });
    table.node.hidden = !set.active.length;
    replace(split, editor.node, table.node, fault);
  }
  function begin() {
    copyToRow();
    if (!set.options.length) set.addOption();
    open();
    setMode(true);
    split.querySelector("input").focus();
  }
  async function end() {
    const saved = set.saved.filter((row) => row.isSold);
    const kept = saved.length > 1 ? await askWhich(set, saved) : (saved[0] ?? set.sold[0] ?? set.rows[0]);
    if (!kept) {
      checkbox.checked = true;
      return;
    }
    set.keepOnly(kept);
    replace(split);
    for (const [name, input] of simpleInputs()) input.value = kept.cells[name] ?? "";
    setMode(false);
  }
  function simpleInputs() {
    const all = [...simple.querySelectorAll("input")];
    return set.columns.flatMap(({ name }) => {
      const input = all.find((each) => each.name === name || (each.name === "price" && name === "unit_amount"));
      return input ? [[name, input]] : [];
    });
  }
  function copyToRow() {
    const [row] = set.rows;
    const columns = new Map(set.columns.map((column) => [column.name, column]));
    for (const [name, input] of simpleInputs()) row.cells[name] = normalize(columns.get(name), input.value);
  }

  return {
    node: h("div", { class: "stack" }, h("h3", null, "Price and options"), simple, tick, split),
    set,
    get isSplit() {
      return isSplit;
    },
    /** Whether a save has to write the rows of `set`, and not the product alone. */
    get hasRows() {
      return isSplit || set.isRestructured || set.rows[0].id !== product.id;
    },
    /** Show the errors of the options and cells; return whether there is none. */
    check() {
      if (!isSplit) {
        set.rows[0].note = null;
        copyToRow();
        return true;
      }
      fault.textContent = set.findFault() ?? "";
      if (fault.textContent) split.querySelector("input").focus();
      return !fault.textContent && table.check();
    },
    showNotes: () => isSplit && table.showNotes(),
    /** Return the fields of a product without options, in the shape of the API. */
    read(form) {
      const { sku, price, compare_at_amount: compareAt, weight_grams, low_stock_threshold, on_hand } = readForm(form);
      const compare_at_amount = currency && compareAt !== null ? Math.round(compareAt * minorUnits(currency)) : null;
      return { sku, price, compare_at_amount, weight_grams, low_stock_threshold, ...(!product && { on_hand }) };
    },
  };
}

function simpleFields(product, currency) {
  const { sku, price, compare_at_amount, weight_grams, low_stock_threshold } = product ?? {};
  const number = { type: "number", inputmode: "numeric", min: 0, step: 1 };
  const amount = {
    type: "number",
    inputmode: "decimal",
    min: 0,
    max: 10_000_000,
    step: currency ? 1 / minorUnits(currency) : "any",
  };
  return h(
    "div",
    { class: "product-fields" },
    field({
      label: currency ? `${FIELDS.price} in ${currency}` : FIELDS.price,
      name: "price",
      ...amount,
      required: true,
      value: product ? price.toFixed(Math.log10(minorUnits(currency))) : null,
    }),
    currency &&
      field({
        ...amount,
        label: FIELDS.compare_at_amount,
        name: "compare_at_amount",
        value: showAmount(compare_at_amount, currency),
        hint: "A higher price, shown crossed out.",
      }),
    field({
      label: FIELDS.sku,
      name: "sku",
      required: Boolean(product),
      maxlength: 100,
      value: sku,
      autocomplete: "off",
      hint: product ? null : "Generated if left empty.",
    }),
    !product &&
      field({ ...number, label: "Units on hand", name: "on_hand", required: true, max: 2_147_483_648, value: 0 }),
    field({ ...number, label: FIELDS.weight_grams, name: "weight_grams", max: 100_000_000, value: weight_grams }),
    field({
      ...number,
      label: FIELDS.low_stock_threshold,
      name: "low_stock_threshold",
      max: 2_147_483_648,
      value: low_stock_threshold,
      hint: "Listed as low in stock at this number of units.",
    }),
  );
}

/** Ask which variant a product without options keeps; resolve to its row, or null. */
function askWhich(set, rows) {
  return new Promise((resolve) => {
    const select = field({
      label: "The product keeps the SKU, price and stock of",
      name: "",
      type: "select",
      required: true,
      options: rows.map((row) => [String(row.key), set.title(row)]),
      onchange: () => explain(),
    });
    const choice = select.querySelector("select");
    const text = h("p");
    const explain = () => {
      const others = rows.filter((row) => String(row.key) !== choice.value);
      text.textContent = explainLoss(set, others);
    };
    explain();
    const dialog = openDialog({
      title: "Remove all options?",
      content: h(
        "form",
        { method: "dialog", class: "stack" },
        select,
        text,
        h(
          "div",
          { class: "dialog-actions" },
          h("button", { class: "button button-quiet", value: "" }, "Go back"),
          h("button", { class: "button button-danger", value: "yes" }, "Remove options"),
        ),
      ),
    });
    dialog.addEventListener("close", () => {
      const isSure = dialog.returnValue === "yes";
      resolve(isSure ? rows.find((row) => String(row.key) === choice.value) : null);
    });
  });
}
