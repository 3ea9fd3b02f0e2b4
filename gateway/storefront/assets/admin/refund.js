// The form to refund an order in part or in full.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { askToConfirm } from "../lib/feedback.js";
import { checkForm, field, readForm, whileBusy } from "../lib/forms.js";
import { formatMoney, minorUnits } from "../lib/format.js";
import { dropKey, keepKey } from "../lib/idempotency-keys.js";

/**
 * Return a form to refund up to `refundable`, in minor units. `change(send, done)` runs `send`, shows the
 * toast `done` and the new state of the order.
 */
export function refundForm(order, refundable, change) {
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
      max: refundable / unit,
      step: 1 / unit,
      value: (refundable / unit).toFixed(Math.log10(unit)),
      hint: `${money(refundable)} available to refund.`,
    }),
    field({
      label: "Return the items to stock",
      name: "restock",
      type: "checkbox",
      hint: "Only when you refund the full remaining amount.",
    }),
    h("button", { class: "button", type: "submit" }, icon("undo"), "Refund"),
  );
  const readAmount = () => Math.round((readForm(form).amount ?? 0) * unit);

  function allowRestock() {
    const box = form.elements.restock;
    box.disabled = readAmount() !== refundable;
    if (box.disabled) box.checked = false;
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const amount = readAmount();
    const restock = form.elements.restock.checked;
    const isSure = await askToConfirm({
      title: `Refund ${money(amount)}?`,
      text: [
        amount === refundable ? "This refunds the order in full. " : "The status of the order does not change. ",
        restock ? "The items return to stock. " : "",
        "This cannot be undone.",
      ],
      action: `Refund ${money(amount)}`,
      danger: true,
    });
    if (!isSure) return;
    await whileBusy(form, () => change(() => send(order.id, { amount, restock }), `Refunded ${money(amount)}.`));
  }
  return form;
}

/**
 * Request a refund. A retry after a lost response has the same idempotency key, so the refund is made once.
 */
async function send(orderId, body) {
  const purpose = `refund-${orderId}-${body.amount}-${body.restock}`;
  try {
    const response = await call("POST", `/orders/${orderId}/refund`, { body, key: keepKey(purpose), raw: true });
    dropKey(purpose);
    return response;
  } catch (problem) {
    if (!problem.isOutcomeUnknown && problem.code !== "idempotency_in_progress") dropKey(purpose);
    throw problem;
  }
}
