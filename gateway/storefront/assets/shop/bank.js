// The page of the simulated bank, which asks its customer whether the payment is meant.
import { call, Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { dropKey, keepKey } from "../lib/keys.js";

/**
 * Let the customer answer the bank; `answered` is called once the bank knows.
 *
 * Returns the dialog, or null if the bank asks nothing any more. Throws Problem if the payment cannot be read.
 */
export async function askBank(paymentId, answered, signal) {
  const payment = await call("GET", `/payments/${paymentId}`, { signal });
  signal.throwIfAborted();
  if (payment.status !== "requires_action") {
    await answered();
    return null;
  }
  const outcome = h("div");
  const isOurs = payment.next_action?.type === "confirm";
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
          h("span", null, "Shopfleet asks for a payment with your card."),
        ),
        h("p", { class: "price" }, formatMoney(payment.amount, payment.currency)),
        outcome,
        isOurs
          ? h(
              "div",
              { class: "stack" },
              h("p", { class: "faint" }, "Is this you? A real bank would ask in its app or by a code."),
              answerButton("approved", "Yes, approve it", "button-primary"),
              answerButton("declined", "No, decline it", "button-danger"),
            )
          : h("p", null, "This payment goes on at its provider, in the way that your bank has told you."),
      ),
    ],
  });

  function answerButton(answer, label, kind) {
    const button = h(
      "button",
      { class: `button ${kind} button-wide`, type: "button", autofocus: answer === "approved" },
      label,
    );
    button.addEventListener("click", () => tell(answer));
    return button;
  }

  async function tell(answer) {
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
      // The bank's no comes as 402; whatever else was refused, the payment is not waiting any more.
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
    answered();
  }

  return dialog;
}
