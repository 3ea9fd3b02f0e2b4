// How many of a product there are, and what was counted.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { load, skeleton, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { formatNumber } from "../lib/format.js";
import { card, facts, refusalNote } from "./parts.js";

/** Return a card with a product's stock, and a form for a count. */
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
      label: "Units counted",
      name: "on_hand",
      type: "number",
      inputmode: "numeric",
      required: true,
      min: 0,
      max: 2_147_483_648,
      step: 1,
      value: stock.on_hand,
      hint: "All that are there, with those that are held for orders.",
    }),
    h("button", { class: "button", type: "submit" }, icon("check"), "Save the count"),
  );
  show(stock);

  function show(now) {
    replace(
      numbers,
      facts([
        ["On hand", formatNumber(now.on_hand)],
        ["Held for orders", formatNumber(now.reserved)],
        ["Can be sold", h("strong", null, formatNumber(now.stock))],
        ["Missing", now.shortfall ? `${formatNumber(now.shortfall)} more are sold than there are` : null],
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
        toast("The count is saved.", { kind: "good" });
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
  const held = reserved === 1 ? "1 unit is" : `${formatNumber(reserved)} units are`;
  return refusalNote(
    `${held} held for orders, which is more than the ${formatNumber(counted)} that you counted, so the count was not ` +
      "saved. Holds end within a quarter of an hour: they are sold, or given back. Count again then, with what lies packed.",
  );
}
