// One's own account.
import { Problem } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { linkTo, navigate } from "../lib/router.js";
import { session } from "../lib/session.js";
import { accountForm, newPasswordField, passwordField } from "./account-forms.js";

export const title = "Your account";

export async function view() {
  const { user } = session;
  if (!user) {
    queueMicrotask(() => navigate("/login", { next: "/account" }, { replace: true }));
    return h("h1", { class: "visually-hidden" }, title);
  }
  return h(
    "div",
    { class: "narrow stack-wide" },
    h("h1", null, title),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Who you are" },
      h(
        "p",
        { class: "row" },
        icon("user"),
        h("strong", null, user.username),
        h("span", { class: "badge" }, user.role),
      ),
      h(
        "div",
        { class: "row" },
        h("a", { class: "button", href: linkTo("/orders") }, icon("box"), "Your orders"),
        h("button", { class: "button button-quiet", type: "button", onclick: signOut }, "Sign out"),
      ),
    ),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Password" },
      h("h2", null, "Change the password"),
      passwordForm(user),
    ),
  );
}

function passwordForm(user) {
  return accountForm(
    "Change the password",
    [
      // Password managers want to know whose it is.
      h("input", {
        type: "text",
        name: "username",
        value: user.username,
        autocomplete: "username",
        hidden: true,
        "aria-label": "User name",
        readonly: true,
      }),
      passwordField({ label: "Password now", name: "current_password" }),
      newPasswordField({
        label: "New password",
        name: "new_password",
        hint: "Eight characters or more. Every other session of yours ends.",
      }),
    ],
    ({ current_password: current, new_password: chosen }) => session.changePassword(current, chosen),
    () => toast("The password was changed.", { kind: "good" }),
  );
}

async function signOut() {
  try {
    await session.logOut();
    toast("You are signed out.", { kind: "good" });
    navigate("/");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(`You are still signed in. ${problem.message}`, { kind: "bad" });
  }
}
