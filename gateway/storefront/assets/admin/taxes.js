// The tax rates of the shop.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { emptyPanel, load, skeleton } from "../lib/feedback.js";
import { countOf } from "../lib/labels.js";
import { describeRate, findCurrency, KEPT, pricingHead } from "./pricing.js";
import { exampleButton } from "./pricing-example.js";
import { rowActions } from "./pricing-rows.js";
import { makeTable } from "./table.js";
import { describePlace, editRate } from "./tax-form.js";

const PATH = "/tax-rates";

export async function view({ signal }) {
  const notice = h("div", { class: "notice-room" });
  const room = h("div");
  const columns = [
    {
      title: "Tax",
      kind: "main",
      cell: ({ title }) => h("span", { class: "value" }, title),
    },
    { title: "Place", cell: describePlace },
    { title: "Tax class", cell: ({ tax_class: taxClass }) => taxClass ?? "All" },
    { title: "Rate", kind: "number", cell: ({ rate }) => describeRate(rate) },
    { title: "Actions", cell: actions },
  ];

  const read = async () => {
    const [rates, methods] = await Promise.all([
      call("GET", PATH, { signal }),
      call("GET", "/shipping-methods", { signal }),
    ]);
    const isFresh = !rates.data.length && !methods.data.length;
    return { rates: rates.data, isFresh, currency: isFresh ? await findCurrency(signal) : null };
  };
  function render({ rates, isFresh, currency }) {
    if (!rates.length) {
      return emptyPanel(
        "No tax rates yet",
        "Orders have no taxes. An order has the rates of the country that it goes to.",
        isFresh && currency && exampleButton(currency, () => show()),
      );
    }
    const table = makeTable("Tax rates by country, region and class", columns);
    table.show(rates);
    const count = h("p", { class: "list-count faint", role: "status" }, countOf(rates.length, "tax rate"));
    return h("div", { class: "list" }, count, table.node);
  }
  function actions(rate) {
    const { id, title } = rate;
    return rowActions({
      key: id,
      title,
      path: `${PATH}/${id}`,
      edit: () => editRate({ rate, onSaved: () => show(`edit-${id}`) }),
      loss: `New orders no longer have it. ${KEPT}`,
      notice,
      onDeleted: () => show(),
    });
  }
  /** Load the rates; then the element with the id `focus` gets the focus. */
  async function show(focus) {
    await load(room, read, render, { skeleton: skeleton("rows", 4), signal });
    document.getElementById(focus)?.focus();
  }

  show();
  const add = h(
    "button",
    { class: "button button-primary", type: "button", onclick: () => editRate({ onSaved: () => show() }) },
    icon("plus"),
    "Add tax rate",
  );
  return [
    pricingHead("Tax rates", "/admin/pricing/taxes", add),
    h(
      "p",
      { class: "faint" },
      "A rate of a region goes before one of its country, and one of a product’s tax class before one for all classes. The " +
        "setting ",
      h("code", null, "PRICES_INCLUDE_TAX"),
      " decides whether prices include the taxes.",
    ),
    notice,
    room,
  ];
}
