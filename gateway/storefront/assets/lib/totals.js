// The rows of a total: of a cart, a quote or an order.
import { formatMoney } from "./format.js";

/** Return the total as a sentence, for people who do not see that it has changed. */
export function sayTotal({ amount, currency }) {
  return amount === null ? "" : `The total is ${formatMoney(amount, currency)}.`;
}

/**
 * Return the rows as `{label, value, isTotal}`: what the items cost if anything is added or taken off, each
 * adjustment, the total, and the taxes that it includes.
 */
export function listTotals({ items_amount: items, adjustments = [], amount, currency }) {
  const money = (value) => formatMoney(value, currency);
  const added = adjustments.filter(({ included }) => !included);
  return [
    ...(added.length ? [{ label: "Items", value: money(items) }] : []),
    ...added.map(({ kind, title, amount: part }) => ({
      label: kind === "discount" ? `Discount ${title}` : title,
      value: kind === "shipping" && part === 0 ? "Free" : money(part),
    })),
    { label: "Total", value: money(amount), isTotal: true },
    ...adjustments
      .filter(({ included }) => included)
      .map(({ title, amount: part }) => ({ label: `Includes ${title}`, value: money(part) })),
  ];
}
