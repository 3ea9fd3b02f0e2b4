// The dialog to add or edit a shipping method.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, whileBusy } from "../lib/forms.js";
import { countriesField, listField, moneyField, readRegion, showFormProblems, toMinor } from "./pricing.js";
import { priceSteps } from "./shipping-steps.js";

const PATH = "/shipping-methods";
const KINDS = [
  ["fixed", "One price"],
  ["weight", "By weight"],
  ["amount", "By amount of the items"],
];

/** Add a shipping method, or edit `method`, in a dialog; `onSaved` is called once it is saved. */
export function editMethod({ method, currency, onSaved }) {
  const { title, code, countries, regions, postal_codes, free_from, delivery_time, position = 0 } = method ?? {};
  const { tax_class, excluded_tax_classes, active = true } = method ?? {};
  const price = priceFields(method, currency);
  const lists = {
    countries: countriesField({
      label: "Countries",
      name: "countries",
      values: countries,
      hint: "Codes or names with commas, such as DE, Austria. Empty: everywhere.",
    }),
    postal_codes: listField({
      label: "Postal codes",
      name: "postal_codes",
      values: postal_codes,
      hint: "Patterns with commas: 10* includes, and !27498 excludes. Empty: all.",
    }),
    excluded_tax_classes: listField({
      label: "Excluded tax classes",
      name: "excluded_tax_classes",
      values: excluded_tax_classes,
      hint: "It does not carry products of these classes.",
    }),
  };
  lists.regions = listField({
    label: "Regions",
    name: "regions",
    values: regions,
    read: (entry) => readRegion(entry, () => listKnown(lists.countries)),
    hint: "Codes with commas, such as US-CA, US-NY. Empty: all.",
  });
  const titleField = field({
    label: "Title",
    name: "title",
    required: true,
    maxlength: 200,
    value: title,
    autocomplete: "off",
  });
  const codeField =
    !method &&
    field({
      label: "Code",
      name: "code",
      required: true,
      maxlength: 50,
      pattern: "[a-z0-9][a-z0-9_\\-]*",
      title: "Lower-case letters, digits, - and _",
      autocomplete: "off",
      spellcheck: "false",
      hint: "For programs. You cannot change it later.",
    });
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    h(
      "div",
      { class: "product-fields" },
      titleField,
      codeField,
      field({
        label: "Delivery time",
        name: "delivery_time",
        maxlength: 200,
        value: delivery_time,
        autocomplete: "off",
        hint: "Such as 2 to 3 working days.",
        class: method ? "" : "wide",
      }),
    ),
    price.node,
    moneyField({
      label: "Free from",
      name: "free_from",
      currency,
      amount: free_from,
      hint: "What the items must cost, after discounts, for free shipping.",
    }),
    h("h3", null, "Where"),
    lists.countries.node,
    h("div", { class: "product-fields" }, lists.regions.node, lists.postal_codes.node),
    h("h3", null, "More"),
    h(
      "div",
      { class: "product-fields" },
      field({
        label: "Tax class",
        name: "tax_class",
        maxlength: 100,
        value: tax_class,
        autocomplete: "off",
        hint: "Of the shipping itself. Empty for the standard rate.",
      }),
      lists.excluded_tax_classes.node,
      field({
        label: "Position",
        name: "position",
        type: "number",
        inputmode: "numeric",
        required: true,
        min: 0,
        max: 10_000,
        step: 1,
        value: position,
        hint: "Customers see the lowest number first.",
      }),
    ),
    field({
      label: "Active",
      name: "active",
      type: "checkbox",
      checked: active,
      hint: "While a method is active, each order needs one that delivers to its address.",
    }),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
    ),
  );
  if (codeField) suggestCode(titleField.querySelector("input"), codeField.querySelector("input"));
  const dialog = openDialog({
    title: method ? `Edit ${title}` : "Add shipping method",
    content: form,
    kind: "dialog-wide",
  });
  titleField.querySelector("input").focus();

  async function submit(event) {
    event.preventDefault();
    // Which regions are valid depends on the countries.
    form.elements.regions.dispatchEvent(new Event("input"));
    price.check();
    if (!checkForm(form)) return;
    const values = readForm(form);
    const body = {
      ...(!method && { code: values.code }),
      title: values.title,
      delivery_time: values.delivery_time,
      ...price.read(),
      free_from: toMinor(values.free_from, currency),
      tax_class: values.tax_class,
      position: values.position,
      active: values.active,
      ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list.read()])),
    };
    await whileBusy(form, async () => {
      try {
        const saved = await (method ? call("PATCH", `${PATH}/${code}`, { body }) : call("POST", PATH, { body }));
        dialog.close();
        toast(`Saved ${saved.title}.`, { kind: "good" });
        onSaved();
      } catch (problem) {
        showFormProblems(form, problem, "shipping_method_exists", "code");
      }
    });
  }
}

/** Return `{node, check(), read()}` for either one price or prices by weight or by amount. */
function priceFields(method, currency) {
  const steps = method?.prices ?? [];
  const known = !steps.length ? "fixed" : steps[0].from_amount === null ? "weight" : "amount";
  const fixed = moneyField({
    label: "Price",
    name: "price",
    currency,
    amount: method?.price,
    required: true,
    hint: "0 for free shipping.",
  });
  const byStep = {
    weight: priceSteps("from_weight_grams", known === "weight" ? steps : [], currency),
    amount: priceSteps("from_amount", known === "amount" ? steps : [], currency),
  };
  const room = h("div");
  const choice = field({
    label: "Prices",
    name: "",
    type: "select",
    required: true,
    options: KINDS,
    value: known,
    onchange: () => show(),
  });
  const select = choice.querySelector("select");
  const show = () => replace(room, byStep[select.value]?.node ?? fixed);
  show();
  return {
    node: h("div", { class: "stack" }, choice, room),
    check: () => byStep[select.value]?.check(),
    read: () =>
      byStep[select.value]
        ? { price: null, prices: byStep[select.value].read() }
        : { price: toMinor(Number(fixed.querySelector("input").value), currency), prices: [] },
  };
}

/** Fill in the code from the title until the admin enters a code. */
function suggestCode(title, code) {
  title.addEventListener("input", () => {
    if (code.dataset.isOwn) return;
    code.value = title.value
      .normalize("NFKD")
      .toLowerCase()
      .replace(/[\u0300-\u036f]/g, "")
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 50);
    code.dispatchEvent(new Event("input"));
  });
  code.addEventListener("input", ({ isTrusted }) => {
    if (isTrusted) code.dataset.isOwn = "yes";
  });
}

/** Return the countries in a list that may have a fault, which its own field shows. */
function listKnown(list) {
  try {
    return list.read();
  } catch {
    return [];
  }
}
