// The totals of a quote, and the shipping methods on offer.
import { h, icon } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { listTotals } from "../lib/totals.js";
import { describePrice } from "./pricing.js";

/**
 * Return what a quote costs. `chosen` is the code of the shipping method, and `onChoose(code)` is called when the
 * admin chooses another one. A quote of a refusal has no items.
 */
export function receipt({ quote, chosen, onChoose }) {
  const { items = [], currency, shipping_options: options } = quote;
  const hasAddedTax = quote.adjustments.some(({ kind, included }) => kind === "tax" && !included);
  const line = (text, value, kind) => h("div", { class: kind }, h("dt", null, text), h("dd", null, value));
  return [
    h(
      "dl",
      { class: "receipt" },
      items.map((item) => line(`${item.quantity} × ${item.title}`, formatMoney(item.amount, currency))),
      listTotals(quote).map(({ label, value, isTotal }) =>
        line(isTotal && !chosen ? `${label} without shipping` : label, value, isTotal && "receipt-total"),
      ),
    ),
    hasAddedTax && h("p", { class: "small faint" }, "The prices do not include taxes. The total adds them."),
    offers(options, chosen, currency, onChoose),
  ];
}

function offers(options, chosen, currency, onChoose) {
  const row = ({ code, title, amount, delivery_time: time }) =>
    h(
      "li",
      null,
      h(
        "span",
        { class: "value" },
        `${title}, ${describePrice(amount, currency)}`,
        time && h("small", { class: "faint" }, ` ${time}`),
      ),
      code === chosen
        ? h("span", { class: "badge badge-good", id: `offer-${code}`, tabindex: "-1" }, icon("check"), "Chosen")
        : h(
            "button",
            {
              class: "button button-small",
              type: "button",
              id: `offer-${code}`,
              "aria-label": `Choose ${title}`,
              onclick: () => onChoose(code),
            },
            "Choose",
          ),
    );
  return [
    h("h3", null, "Methods on offer"),
    options.length
      ? h("ul", { class: "preview-lines" }, options.map(row))
      : h("p", { class: "faint" }, "None. The shop offers no shipping method for these products at this address."),
  ];
}
