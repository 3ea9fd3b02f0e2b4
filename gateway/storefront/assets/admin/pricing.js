// What the pages of pricing share: their navigation, and how they show and read amounts, places and lists.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { emptyPanel } from "../lib/feedback.js";
import { field, showProblems } from "../lib/forms.js";
import { formatMoney, formatNumber, minorUnits } from "../lib/format.js";
import { describeCountry } from "../lib/order-labels.js";
import { linkTo } from "../lib/router.js";
import { listCountries } from "../shop/countries.js";
import { pageHead } from "./parts.js";
import { may } from "./roles.js";
import { showAmount } from "./variant-columns.js";

const PAGES = [
  ["/admin/pricing", "Shipping", "pricing"],
  ["/admin/pricing/taxes", "Taxes", "pricing"],
  ["/admin/pricing/coupons", "Coupons", "coupons"],
  ["/admin/pricing/preview", "Preview", "pricing"],
];
const MAX_AMOUNT = 10_000_000; // In units of the currency.
export const BASIS_POINTS = 100; // In one percent.
export const KEPT = "Orders keep what they paid.";

/** Return the header of a page of pricing, with links to the other ones. */
export function pricingHead(title, path, actions) {
  const links = PAGES.filter(([, , area]) => may(area)).map(([to, text]) =>
    h("li", null, h("a", { href: linkTo(to), "aria-current": to === path && "page" }, text)),
  );
  return [
    links.length > 1 && h("nav", { class: "page-tabs", "aria-label": "Pricing" }, h("ul", null, links)),
    pageHead(title, { actions }),
  ];
}

/** Resolve to the shop's currency, which each product has; null while the catalogue is empty. */
export async function findCurrency(signal) {
  const page = await call("GET", "/products", { query: { limit: 1 }, signal });
  return page?.data[0]?.currency ?? null;
}

/** Return a panel that explains why there are no amounts yet. */
export function noCurrencyPanel() {
  return emptyPanel(
    "No products yet",
    "Amounts are in the currency of your products. Add a product first.",
    h("a", { class: "button button-primary", href: linkTo("/admin/products/new") }, icon("plus"), "Add product"),
  );
}

/** Return a control for an amount, which people enter as a decimal number; `amount` is in minor units. */
export function moneyField({ label, currency, amount, ...props }) {
  return field({
    label: `${label} (${currency})`,
    type: "number",
    inputmode: "decimal",
    min: 0,
    max: MAX_AMOUNT,
    step: 1 / minorUnits(currency),
    value: showAmount(amount, currency),
    ...props,
  });
}

/** Return a decimal number of units as minor units; null for null. */
export function toMinor(value, currency) {
  return value === null || value === undefined ? null : Math.round(value * minorUnits(currency));
}

/** Return basis points as a percentage: `5.5 %` for 550. */
export function describeRate(rate) {
  return `${formatNumber(rate / BASIS_POINTS)} %`;
}

/** Return a price, where zero is free. */
export function describePrice(amount, currency) {
  return amount === 0 ? "Free" : formatMoney(amount, currency);
}

/**
 * Return `{node, read()}` for a list that people enter as text with commas. `read(entry)` returns the value of
 * an entry and throws an Error with a sentence for the admin; `show(values)` is what the list means.
 */
export function listField({ values = [], read = (entry) => entry, show, ...props }) {
  const node = field({ value: values.join(", "), autocomplete: "off", spellcheck: "false", ...props });
  const control = node.querySelector("input, textarea");
  const meaning = show && h("p", { class: "small", "aria-live": "polite" });
  const readAll = () => [
    ...new Set(
      control.value
        .split(/[,;\n]/)
        .map((entry) => entry.trim())
        .filter(Boolean)
        .map(read),
    ),
  ];
  function check() {
    let fault = "";
    try {
      const found = readAll();
      if (meaning) meaning.textContent = found.length ? show(found) : "";
    } catch (error) {
      fault = error.message;
    }
    control.setCustomValidity(fault);
  }
  control.addEventListener("input", check);
  if (meaning) node.append(meaning);
  check();
  return { node, read: readAll };
}

/** Return a list of countries, which people enter as codes or names. */
export function countriesField(props) {
  const known = new Map();
  for (const [code, name] of listCountries()) known.set(code.toLowerCase(), code).set(name.toLowerCase(), code);
  function read(entry) {
    const code = known.get(entry.toLowerCase());
    if (!code) throw new Error(`There is no country “${entry}”. Enter its code or its full name.`);
    return code;
  }
  return listField({ ...props, read, show: (codes) => codes.map(describeCountry).join(", ") });
}

/** Return the ISO 3166-2 code of a region; `listCodes()` has the countries that may be left out before it. */
export function readRegion(entry, listCodes) {
  const text = entry.toUpperCase();
  const codes = listCodes();
  const region = text.includes("-") || codes.length !== 1 ? text : `${codes[0]}-${text}`;
  if (!/^[A-Z]{2}-[A-Z0-9]{1,3}$/.test(region)) {
    throw new Error(`“${entry}” is no code of a region. Enter one such as US-CA.`);
  }
  return region;
}

/** Return a choice of a country. */
export function countryField({ value, ...props }) {
  return field({
    label: "Country",
    name: "country",
    type: "select",
    required: true,
    options: listCountries(),
    value,
    ...props,
  });
}

/**
 * Show the errors of a Problem at the controls of a form. `countries.2` is in the control of the list, and a
 * refusal with the code `conflict` is about the control `name`.
 */
export function showFormProblems(form, problem, conflict, name) {
  if (problem.name !== "Problem") throw problem;
  problem.errors = problem.errors.map((each) => ({ ...each, field: (each.field ?? "").replace(/\.\d+$/, "") }));
  if (problem.code === conflict) problem.errors = [{ field: name, detail: problem.message }];
  showProblems(form, problem);
}
