// The page that a mailed link opens to verify an address. Programs that scan mails open links, too, so the
// page waits for a click.
import { h } from "../lib/dom.js";
import { refill } from "../lib/feedback.js";
import { Problem, send } from "../lib/http.js";
import { linkTo } from "../lib/router.js";
import { accountForm } from "./account-forms.js";
import { cardPage, noteBadLink, noteGood, takeToken } from "./mail-pages.js";

export const title = "Verify your email address";

export async function view({ query }) {
  const token = takeToken(query);
  const box = h("div", { class: "stack" });

  async function verify() {
    try {
      const { email } = await send("POST", "/auth/email/verify", { body: { token } });
      refill(
        box,
        noteGood(`Your address ${email} is verified.`),
        h("a", { class: "button button-primary", href: linkTo("/orders") }, "Go to your orders"),
      );
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.code !== "link_invalid") throw problem;
      refill(box, ...noteBadLink("/account", "Request a new link"));
    }
  }

  if (token) box.append(accountForm("Verify address", [], verify, () => {}));
  else box.append(...noteBadLink("/account", "Request a new link"));
  return cardPage(title, box);
}
