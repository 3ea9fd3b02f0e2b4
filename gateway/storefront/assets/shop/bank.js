// The simulated bank's dialog, in which the customer authenticates a payment.
import { call, Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { dropKey, keepKey } from "../lib/idempotency-keys.js";

/**
 * Let the customer authenticate a payment; `onAnswered` is called once the bank has the answer.
 *
 * Returns the dialog, or null if the payment needs no authentication any more. Throws Problem if the payment
 * cannot be read.
 */
export async function authenticatePayment(paymentId, onAnswered, signal) {
  const payment = await call("GET", `/payments/${paymentId}`, { signal });
  signal.throwIfAborted();
  if (payment.status !== "requires_action") {
    await onAnswered();
    return null;
  }
  const outcome = h("div");
  const isSimulated = payment.next_action?.type === "confirm";
  const dialog = openDialog({
    title: "Simulated bank",
    kind: "bank",
    content: [
      h(
        "div",
        { class: "stack" },
        h(
          "p",
          { class: "row" },
          icon("bank"),
          h("span", null, "Shopfleet requests a payment with your card."),
        ),
        h("p", { class: "price" }, formatMoney(payment.amount, payment.currency)),
        outcome,
        isSimulated
          ? h(
              "div",
              { class: "stack" },
              h("p", { class: "faint" }, "A real bank would ask you to confirm in its app or with a code."),
              answerButton("approved", "Approve payment", "button-primary"),
              answerButton("declined", "Decline payment", "button-danger"),
            )
          : h("p", null, "Confirm this payment in the way that your bank has asked you to."),
      ),
    ],
  });

  function answerButton(answer, label, kind) {
    const button = h(
      "button",
      { class: `button ${kind} button-wide`, type: "button", autofocus: answer === "approved" },
      label,
    );
    button.addEventListener("click", () => send(answer));
    return button;
  }

  async function send(answer) {
    if (dialog.hasAttribute("aria-busy")) return;
    dialog.setAttribute("aria-busy", "true");
    const purpose = `confirm-${payment.id}-${answer}`;
    try {
      await call("POST", `/payments/${payment.id}/confirm`, {
        body: { outcome: answer },
        key: keepKey(purpose),
        signal,
      });
      finish(purpose);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      // A declined payment is a 402. After any other conflict the payment no longer waits for an answer.
      if (problem.status === 402 || (problem.status === 409 && problem.code !== "idempotency_in_progress"))
        finish(purpose);
      else
        replace(outcome, h("p", { class: "note note-warn", role: "alert" }, icon("alert"), problem.message));
    } finally {
      dialog.removeAttribute("aria-busy");
    }
  }

  function finish(purpose) {
    dropKey(purpose);
    dialog.close();
    onAnswered();
  }

  return dialog;
}
