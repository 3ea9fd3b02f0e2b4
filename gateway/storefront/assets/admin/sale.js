// The sale of a variant: its price and its times, in the browser's time zone.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { formatMoney, minorUnits, toLocalTime } from "../lib/format.js";
import { badge, card, facts, moment, showingProblem } from "./parts.js";

/**
 * Return a card with the sale of a variant and a form to plan one; of several variants, the admin chooses one.
 * `onChange` is called after each change.
 */
export function saleCard({ product, signal, onChange }) {
  const { id, variants, currency } = product;
  const room = h("div");
  function show(variantId) {
    const path = `/products/${id}/variants/${variantId}/sale`;
    load(
      room,
      () => call("GET", path, { signal }),
      (sale) => [sale ? currentSale(path, sale, onChange) : null, saleForm(path, sale, currency, onChange)],
      { skeleton: skeleton("lines", 3), signal },
    );
  }
  show(variants[0].id);
  if (variants.length === 1) return card("Sale", room);
  const choice = field({
    label: "Variant",
    name: "variant",
    type: "select",
    options: variants.map((variant) => [String(variant.id), variant.title]),
  });
  choice.addEventListener("change", ({ target }) => show(target.value));
  return card("Sale", choice, room);
}

function currentSale(path, sale, onChange) {
  const notice = h("div", { class: "notice-room" });
  const isRunning = sale.state === "running";
  async function cancel() {
    const isSure = await askToConfirm({
      title: isRunning ? "End this sale now?" : "Cancel this sale?",
      text: `The price ${isRunning ? "returns to" : "stays"} ${formatMoney(sale.regular_amount, sale.currency)}.`,
      action: isRunning ? "End sale" : "Cancel sale",
      danger: true,
    });
    if (!isSure) return;
    await showingProblem(notice, async () => {
      await call("DELETE", path);
      toast(isRunning ? "Sale ended." : "Sale cancelled.", { kind: "good" });
      onChange();
    });
  }
  return [
    facts([
      ["State", badge(sale.state)],
      ["Sale price", h("strong", null, formatMoney(sale.unit_amount, sale.currency))],
      ["Price without it", formatMoney(sale.regular_amount, sale.currency)],
      ["Starts", moment(sale.starts)],
      ["Ends", sale.ends ? moment(sale.ends) : "When you end it"],
    ]),
    isRunning &&
      h("p", { class: "small faint" }, "A price that you save now under Details applies after the sale."),
    notice,
    h(
      "button",
      { class: "button button-danger", type: "button", onclick: cancel },
      icon("close"),
      isRunning ? "End sale" : "Cancel sale",
    ),
  ];
}

function saleForm(path, sale, currency, onChange) {
  const units = minorUnits(currency);
  const time = { type: "datetime-local", step: 1, min: "0001-01-01T00:00", max: "9999-12-31T00:00" };
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    field({
      label: `Sale price (${currency})`,
      name: "unit_amount",
      type: "number",
      inputmode: "decimal",
      required: true,
      min: 0,
      max: 10_000_000,
      step: 1 / units,
      value: sale ? (sale.unit_amount / units).toFixed(Math.log10(units)) : null,
    }),
    field({ ...time, label: "Start", name: "starts", value: toLocalTime(sale?.starts), hint: "Now if left empty." }),
    field({
      ...time,
      label: "End",
      name: "ends",
      value: toLocalTime(sale?.ends),
      hint: "If left empty, the sale runs until you end it.",
    }),
    h("button", { class: "button", type: "submit" }, icon("check"), sale ? "Change sale" : "Plan sale"),
  );
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { unit_amount: price, starts, ends } = readForm(form);
    const toUtc = (local) => (local ? new Date(local).toISOString() : null);
    const body = { unit_amount: Math.round(price * units), starts: toUtc(starts), ends: toUtc(ends) };
    await whileBusy(form, async () => {
      try {
        const saved = await call("PUT", path, { body });
        toast(saved.state === "running" ? "The sale runs now." : "Sale planned.", { kind: "good" });
        onChange();
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        showProblems(form, problem);
      }
    });
  }
  return form;
}
