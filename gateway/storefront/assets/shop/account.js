// The user's own account.
import { Problem } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { linkTo, navigate } from "../lib/router.js";
import { session } from "../lib/session.js";
import { emailPart } from "./account-email.js";
import { addressList } from "./addresses.js";
import { accountForm, newPasswordField, passwordField, usernameFor } from "./account-forms.js";
import { sessionList } from "./sessions.js";
import { twoFactor } from "./two-factor.js";

export const title = "Your account";

export async function view({ signal }) {
  const { user } = session;
  if (!user) {
    queueMicrotask(() => navigate("/login", { next: "/account" }, { replace: true }));
    return h("h1", { class: "visually-hidden" }, title);
  }
  // The session may be ended on a different device.
  session.addEventListener("expired", () => navigate("/login", { next: "/account" }, { replace: true }), { signal });
  const sessions = sessionList(signal);
  return h(
    "div",
    { class: "narrow stack-wide" },
    h("h1", null, title),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Profile" },
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
        h("a", { class: "button", href: linkTo("/orders") }, icon("box"), "Order history"),
        h("button", { class: "button button-quiet", type: "button", onclick: signOut }, "Sign out"),
      ),
    ),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Addresses" },
      h("h2", { tabindex: "-1" }, "Addresses"),
      addressList(signal),
    ),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Email" },
      h("h2", null, "Email"),
      emailPart(signal),
    ),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Password" },
      h("h2", null, "Change password"),
      passwordForm(user, sessions.refresh),
    ),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Two-factor authentication" },
      h("h2", null, "Two-factor authentication"),
      twoFactor(user, sessions.refresh, signal),
    ),
    h(
      "section",
      { class: "card card-body stack", "aria-label": "Sessions" },
      h("h2", { tabindex: "-1" }, "Sessions"),
      sessions.element,
    ),
  );
}

function passwordForm(user, done) {
  return accountForm(
    "Change password",
    [
      usernameFor(user),
      passwordField({ label: "Current password", name: "current_password" }),
      newPasswordField({
        label: "New password",
        name: "new_password",
        hint: "Use at least 8 characters. You will be signed out on your other devices.",
      }),
    ],
    ({ current_password: current, new_password: next }) => session.changePassword(current, next),
    () => {
      toast("Password changed.", { kind: "good" });
      done();
    },
  );
}

async function signOut() {
  try {
    await session.logOut();
    toast("Signed out.", { kind: "good" });
    navigate("/");
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(`Could not sign you out. ${problem.message}`, { kind: "bad" });
  }
}
