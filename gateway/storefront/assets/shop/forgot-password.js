// The page that mails a link to set a new password.
import { h } from "../lib/dom.js";
import { field } from "../lib/forms.js";
import { send } from "../lib/http.js";
import { cardPage, mailForm } from "./mail-pages.js";

export const title = "Forgot your password?";

export async function view() {
  return cardPage(
    title,
    h("p", { class: "faint" }, "Enter the email address of your account. We send you a link to set a new password."),
    mailForm(
      "Send link",
      [field({ label: "Email", name: "email", type: "email", required: true, autocomplete: "email", maxlength: 254 })],
      ({ email }) => send("POST", "/auth/password/forgot", { body: { email } }),
      ({ email }) => `If an account has the address ${email}, a link is on its way. It works for one hour.`,
    ),
  );
}
