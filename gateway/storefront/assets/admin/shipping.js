// The shipping methods of the shop.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { emptyPanel, load, skeleton } from "../lib/feedback.js";
import { formatMoney, formatNumber } from "../lib/format.js";
import { countOf } from "../lib/labels.js";
import { describeCountry } from "../lib/order-labels.js";
import { badge } from "./parts.js";
import { describePrice, findCurrency, KEPT, noCurrencyPanel, pricingHead } from "./pricing.js";
import { exampleButton } from "./pricing-example.js";
import { rowActions } from "./pricing-rows.js";
import { editMethod } from "./shipping-form.js";
import { sortSteps } from "./shipping-steps.js";
import { makeTable } from "./table.js";

const PATH = "/shipping-methods";
const SHOWN = 5; // Entries of a list in the table.

export async function view({ signal }) {
  const notice = h("div", { class: "notice-room" });
  const room = h("div");
  const add = h(
    "button",
    { class: "button button-primary", type: "button", hidden: true },
    icon("plus"),
    "Add shipping method",
  );

  const read = async () => {
    const [methods, rates, currency] = await Promise.all([
      call("GET", PATH, { signal }),
      call("GET", "/tax-rates", { signal }),
      findCurrency(signal),
    ]);
    return { methods: methods.data, rates: rates.data, currency };
  };
  function render({ methods, rates, currency }) {
    add.hidden = !currency;
    add.onclick = () => editMethod({ currency, onSaved: show });
    if (!currency) return noCurrencyPanel();
    if (!methods.length) {
      return emptyPanel(
        "No shipping methods yet",
        "Orders need no shipping method, and delivery is free. From the first active one on, each order needs one.",
        !rates.length && exampleButton(currency, show),
      );
    }
    const table = makeTable("Shipping methods, as customers see them", columns(currency));
    table.show(methods);
    const count = h("p", { class: "list-count faint", role: "status" }, countOf(methods.length, "shipping method"));
    return h("div", { class: "list" }, count, table.node);
  }
  function columns(currency) {
    return [
      {
        title: "Method",
        kind: "main",
        cell: ({ title, code, delivery_time: time }) => [
          h("span", { class: "value" }, title),
          h("small", { class: "faint" }, [code, time].filter(Boolean).join(", ")),
        ],
      },
      { title: "Delivers to", cell: (method) => lines(describePlaces(method)) },
      { title: "Price", cell: (method) => lines(describePrices(method, currency)) },
      { title: "Status", cell: ({ active }) => badge(active ? "active" : "off") },
      { title: "Actions", cell: (method) => actions(method, currency) },
    ];
  }
  function actions(method, currency) {
    const { code, title, active } = method;
    return rowActions({
      key: code,
      title,
      path: `${PATH}/${code}`,
      active,
      edit: () => editMethod({ method, currency, onSaved: () => show(`edit-${code}`) }),
      loss: `Customers can no longer choose it. ${KEPT}`,
      notice,
      onSwitched: () => show(),
      onDeleted: () => show(),
    });
  }
  /** Load the methods; then the element with the id `focus` gets the focus. */
  async function show(focus) {
    await load(room, read, render, { skeleton: skeleton("rows", 4), signal });
    document.getElementById(focus)?.focus();
  }

  show();
  return [pricingHead("Shipping methods", "/admin/pricing", add), notice, room];
}

/** Return where a method delivers, as lines of text. */
function describePlaces({ countries, regions, postal_codes: codes, excluded_tax_classes: classes }) {
  return [
    countries.length ? shorten(countries.map(describeCountry)) : "Everywhere",
    regions.length && `Regions ${shorten(regions)}`,
    codes.length && `Postal codes ${shorten(codes)}`,
    classes.length && `Not ${shorten(classes)}`,
  ].filter(Boolean);
}

/** Return what a method costs, as lines of text. */
function describePrices({ price, prices, free_from: free }, currency) {
  const steps = sortSteps(prices).map(
    ({ from_weight_grams: grams, from_amount: amount, price: cost }) =>
      `${describePrice(cost, currency)} from ${grams === null ? formatMoney(amount, currency) : `${formatNumber(grams)} g`}`,
  );
  const all = price === null ? steps : [describePrice(price, currency)];
  const freeFrom = free === null ? "" : `free from ${formatMoney(free, currency)}`;
  // A single price and the amount from which it does not apply are one thought.
  return all.length === 1 && freeFrom
    ? [`${all[0]}, ${freeFrom}`]
    : [...all, ...(freeFrom ? [`Free${freeFrom.slice(4)}`] : [])];
}

function shorten(texts) {
  const rest = texts.length - SHOWN;
  return rest > 0 ? `${texts.slice(0, SHOWN).join(", ")} and ${formatNumber(rest)} more` : texts.join(", ");
}

function lines(texts) {
  return h(
    "div",
    { class: "cell-lines" },
    texts.map((text) => h("div", null, text)),
  );
}
