// The page to sign in or to create an account.
import { h } from "../lib/dom.js";
import { navigate } from "../lib/router.js";
import { session } from "../lib/session.js";
import { accountForms } from "./account-forms.js";

export const title = "Sign in";

export async function view({ query }) {
  const next = query.get("next") ?? "/";
  // Accept only views of this site.
  const view = next.startsWith("/") ? next : "/";
  const goOn = () => navigate(session.user?.totpRequired ? "/account" : view, null, { replace: true });
  if (session.user) queueMicrotask(goOn);
  return h(
    "div",
    { class: "narrow stack" },
    h("h1", null, title),
    h("p", { class: "faint" }, "Your cart and orders move to your account."),
    h("div", { class: "card card-body" }, accountForms(goOn)),
  );
}
