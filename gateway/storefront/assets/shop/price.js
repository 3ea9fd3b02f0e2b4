// The price of a product, with the price that is crossed out.
import { h } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";

/** Return the price, or the lowest one of several variants, and the crossed-out price if there is one. */
export function currentPrice(product) {
  const { unit_amount: amount, highest_unit_amount: highest, compare_at_amount: before, currency } = product;
  const isReduced = Boolean(before);
  return h(
    "span",
    { class: "prices" },
    highest > amount && h("span", { class: "small faint" }, "from "),
    isReduced && h("span", { class: "visually-hidden" }, "Reduced price "),
    h("strong", { class: isReduced ? "number price-reduced" : "number" }, formatMoney(amount, currency)),
    isReduced && [
      h("span", { class: "visually-hidden" }, ", instead of "),
      h("s", { class: "number faint small" }, formatMoney(before, currency)),
    ],
  );
}

/** Return the lowest price of the 30 days before the reduction, as article 6a of Directive 98/6/EC demands. */
export function lowestPrice({ compare_at_amount: before, lowest_amount_30d: lowest, currency }) {
  if (!before || lowest === null || lowest === undefined) return null;
  return h("p", { class: "small faint" }, `Lowest price in the last 30 days: ${formatMoney(lowest, currency)}`);
}
