// Money back: a part of an order, or all that is left, and then the goods may be back, too.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { askToConfirm } from "../lib/feedback.js";
import { checkForm, field, readForm, whileBusy } from "../lib/forms.js";
import { formatMoney, minorUnits } from "../lib/format.js";
import { dropKey, keepKey } from "../lib/keys.js";

/**
 * Return a form that gives back up to `left`; `change(send, done)` sends it, says `done` when it is, and shows the
 * order as it is then.
 */
export function refundForm(order, left, change) {
  const unit = minorUnits(order.currency);
  const money = (amount) => formatMoney(amount, order.currency);
  const form = h(
    "form",
    { class: "refund", novalidate: true, oninput: () => allowRestock(), onsubmit: (event) => submit(event) },
    h("h3", null, "Refund"),
    field({
      label: `Amount in ${order.currency}`,
      name: "amount",
      type: "number",
      required: true,
      inputmode: "decimal",
      min: 1 / unit,
      max: left / unit,
      step: 1 / unit,
      value: (left / unit).toFixed(Math.log10(unit)),
      hint: `${money(left)} are left to refund.`,
    }),
    field({
      label: "The goods are back, and can be sold again",
      name: "restock",
      type: "checkbox",
      hint: "Only with all that is left.",
    }),
    h("button", { class: "button", type: "submit" }, icon("undo"), "Refund"),
  );
  const readAmount = () => Math.round((readForm(form).amount ?? 0) * unit);

  function allowRestock() {
    const box = form.elements.restock;
    box.disabled = readAmount() !== left;
    if (box.disabled) box.checked = false;
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const amount = readAmount();
    const restock = form.elements.restock.checked;
    const sure = await askToConfirm({
      title: `Give ${money(amount)} back?`,
      text: [
        amount === left ? "That is all that is left; the order is then refunded. " : "The order stays as it is. ",
        restock ? "The goods are for sale again. " : "",
        "This cannot be undone.",
      ],
      action: `Refund ${money(amount)}`,
      danger: true,
    });
    if (!sure) return;
    await whileBusy(form, () => change(() => send(order.id, { amount, restock }), `${money(amount)} went back.`));
  }
  return form;
}

/** Ask for a refund; after a lost answer the same one is asked for under the same key, and so is made once. */
async function send(orderId, body) {
  const purpose = `refund-${orderId}-${body.amount}-${body.restock}`;
  try {
    const response = await call("POST", `/orders/${orderId}/refund`, { body, key: keepKey(purpose), raw: true });
    dropKey(purpose);
    return response;
  } catch (problem) {
    if (!problem.isOpen && problem.code !== "idempotency_in_progress") dropKey(purpose);
    throw problem;
  }
}
