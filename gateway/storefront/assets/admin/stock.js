// The stock of a product.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { load, skeleton, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { formatNumber } from "../lib/format.js";
import { card, errorNote, facts } from "./parts.js";

/** Return a card with a product's stock and a form to save a stock count. */
export function stockCard(productId, signal) {
  const path = `/products/${productId}/stock`;
  const room = h("div");
  load(
    room,
    () => call("GET", path, { signal }),
    (stock) => countForm(path, stock),
    {
      skeleton: skeleton("lines", 3),
      signal,
    },
  );
  return card("Stock", room);
}

function countForm(path, stock) {
  const numbers = h("div");
  const notice = h("div", { class: "notice-room" });
  const form = h(
    "form",
    { class: "inline-form", novalidate: true, onsubmit: submit },
    field({
      label: "Units on hand",
      name: "on_hand",
      type: "number",
      inputmode: "numeric",
      required: true,
      min: 0,
      max: 2_147_483_648,
      step: 1,
      value: stock.on_hand,
      hint: "Count all units, including those reserved for orders.",
    }),
    h("button", { class: "button", type: "submit" }, icon("check"), "Save count"),
  );
  show(stock);

  function show(now) {
    replace(
      numbers,
      facts([
        ["On hand", formatNumber(now.on_hand)],
        ["Reserved", formatNumber(now.reserved)],
        ["Available", h("strong", null, formatNumber(now.stock))],
        ["Oversold", now.shortfall ? formatNumber(now.shortfall) : null],
      ]),
    );
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    replace(notice);
    const body = { on_hand: readForm(form).on_hand };
    await whileBusy(form, async () => {
      try {
        show(await call("PUT", path, { body }));
        toast("Stock count saved.", { kind: "good" });
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        if (problem.code === "stock_held") replace(notice, explain(body.on_hand, problem.body));
        else showProblems(form, problem);
      }
    });
  }
  return [numbers, form, notice];
}

function explain(counted, { reserved }) {
  const units = reserved === 1 ? "1 unit is" : `${formatNumber(reserved)} units are`;
  return errorNote(
    `${units} reserved for orders, more than the ${formatNumber(counted)} you counted, so the count was not saved. ` +
      "Include packed units. Reservations end within 15 minutes; if the count is right, try again then.",
  );
}
