// The terms of coupons: how people read and enter them.
import { h, replace } from "../lib/dom.js";
import { field, readForm } from "../lib/forms.js";
import { formatMoney, formatNumber, minorUnits, toLocalTime } from "../lib/format.js";
import { countOf } from "../lib/labels.js";
import { listField, moneyField, toMinor } from "./pricing.js";

const KINDS = [
  ["percent", "Percentage"],
  ["amount", "Amount"],
  ["free_shipping", "Free shipping"],
];
const MAX_COUNT = 2_147_483_648;

/** Return what a coupon gives: `10 %`, `$5.00` or `Free shipping`. */
export function describeDiscount({ percent, amount }, currency) {
  if (percent !== null) return `${formatNumber(percent)} %`;
  return amount === null ? "Free shipping" : formatMoney(amount, currency);
}

/** Return when a coupon applies, as texts. */
export function describeConditions(coupon, currency) {
  const { minimum, products, categories, limit_per_customer: each, first_order_only: isFirst } = coupon;
  return [
    minimum && `From ${formatMoney(minimum, currency)}`,
    products.length && `${products.length === 1 ? "Product" : "Products"} ${products.join(", ")}`,
    categories.length && `In ${categories.join(", ")}`,
    isFirst
      ? "First order only"
      : each && (each === 1 ? "Once per customer" : `${formatNumber(each)} times per customer`),
  ].filter(Boolean);
}

/** Return how often a coupon was used: `3 of 10`. */
export function describeUses({ uses, limit }) {
  return limit === null ? formatNumber(uses) : `${formatNumber(uses)} of ${formatNumber(limit)}`;
}

/** Return the status of a coupon for its badge. */
export function findStatus({ active, starts, ends, uses, limit }) {
  const now = Date.now();
  if (!active) return "off";
  if (ends && new Date(ends) <= now) return "ended";
  if (starts && new Date(starts) > now) return "not_started";
  return limit !== null && uses >= limit ? "used_up" : "active";
}

/** Return `{node, read(form)}` for the terms of `coupon`, or of new ones with this `limit`. */
export function termFields(coupon, currency, limit = null) {
  const known = coupon ?? { products: [], categories: [], limit, active: true };
  const time = { type: "datetime-local", step: 1, min: "0001-01-01T00:00", max: "9999-12-31T00:00" };
  const count = { type: "number", inputmode: "numeric", min: 1, max: MAX_COUNT, step: 1 };
  const kind = known.free_shipping ? "free_shipping" : known.amount ? "amount" : "percent";
  const values = {
    percent: field({
      ...count,
      label: "Percentage (%)",
      name: "percent",
      required: true,
      max: 100,
      value: known.percent ?? "",
    }),
    amount: moneyField({
      label: "Amount",
      name: "amount",
      currency,
      amount: known.amount,
      required: true,
      min: 1 / minorUnits(currency),
    }),
  };
  const room = h("div");
  const choice = field({
    label: "Discount",
    name: "",
    type: "select",
    required: true,
    options: KINDS,
    value: kind,
    onchange: () => show(),
  });
  const select = choice.querySelector("select");
  const show = () => replace(room, values[select.value]);
  show();
  const products = listField({
    label: "Products",
    name: "products",
    values: known.products,
    read: readNumber,
    show: (numbers) => countOf(numbers.length, "product"),
    hint: "Numbers with commas, such as 12, 15. Empty: all.",
  });
  const categories = listField({
    label: "Categories",
    name: "categories",
    values: known.categories,
    hint: "Paths with commas, such as kitchen, garden/tools. Empty: all.",
  });
  const node = h(
    "div",
    { class: "stack" },
    h("div", { class: "product-fields" }, choice, room),
    moneyField({
      label: "Minimum",
      name: "minimum",
      currency,
      amount: known.minimum,
      hint: "What all items must cost before the discount.",
    }),
    h("div", { class: "product-fields" }, products.node, categories.node),
    h(
      "div",
      { class: "product-fields" },
      field({ ...time, label: "Start", name: "starts", value: toLocalTime(known.starts), hint: "Now if left empty." }),
      field({ ...time, label: "End", name: "ends", value: toLocalTime(known.ends), hint: "No end if left empty." }),
      field({
        ...count,
        label: "Uses in all",
        name: "limit",
        value: known.limit ?? "",
        hint: "Orders that can use it.",
      }),
      field({
        ...count,
        label: "Uses per customer",
        name: "limit_per_customer",
        value: known.limit_per_customer ?? "",
        hint: "Of one account, or of one guest’s email address.",
      }),
    ),
    field({
      label: "Only for a customer’s first order",
      name: "first_order_only",
      type: "checkbox",
      checked: known.first_order_only,
    }),
    field({ label: "Active", name: "active", type: "checkbox", checked: known.active }),
  );

  /** Return all terms in the shape of the API, so that saving also removes some. */
  function read(form) {
    const { percent, amount, minimum, starts, ends, ...others } = readForm(form);
    return {
      percent: percent ?? null,
      amount: toMinor(amount, currency),
      free_shipping: select.value === "free_shipping",
      minimum: toMinor(minimum, currency),
      products: products.read(),
      categories: categories.read(),
      starts: toUtc(starts),
      ends: toUtc(ends),
      limit: others.limit,
      limit_per_customer: others.limit_per_customer,
      first_order_only: others.first_order_only,
      active: others.active,
    };
  }
  return { node, read };
}

function toUtc(local) {
  return local ? new Date(local).toISOString() : null;
}

function readNumber(entry) {
  const number = Number(entry);
  if (!/^\d+$/.test(entry) || !number || !Number.isSafeInteger(number)) {
    throw new Error(`“${entry}” is not the number of a product.`);
  }
  return number;
}
