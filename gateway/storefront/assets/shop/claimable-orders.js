// Orders that the user placed as a guest, with the address that the account has verified since.
import { call, Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { countOf } from "../lib/labels.js";
import { session } from "../lib/session.js";

/** Return an offer to add these orders to the account; empty without any. `done` is called afterwards. */
export function claimOffer(done, signal) {
  const offer = h("div");
  if (session.user) show().catch((problem) => ignore(problem));

  async function show() {
    const { data } = await call("GET", "/orders/claimable", { signal });
    if (!data.length) return;
    const count = countOf(data.length, "order");
    replace(
      offer,
      h(
        "div",
        { class: "note" },
        icon("box"),
        h("p", null, `You placed ${count} with ${data[0].email} before you had this account.`),
        h(
          "button",
          { class: "button", type: "button", onclick: claim },
          data.length > 1 ? "Add them to your account" : "Add it to your account",
        ),
      ),
    );
  }

  async function claim({ currentTarget: button }) {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      const { claimed } = await call("POST", "/orders/claim", { signal });
      toast(`${countOf(claimed, "order")} added to your account.`, { kind: "good" });
      replace(offer);
      done();
    } catch (problem) {
      ignore(problem);
      toast(problem.message, { kind: "bad" });
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  return offer;
}

// The orders of the account matter more than this offer.
function ignore(problem) {
  if (!(problem instanceof Problem) && problem.name !== "AbortError") throw problem;
}
