// The forms to sign in and to create an account.
import { Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { linkTo } from "../lib/router.js";
import { session } from "../lib/session.js";

/** Return the two forms, one visible at a time; `done` is called once the user is signed in. */
export function accountForms(done) {
  const element = h("div", { class: "stack" });
  const forms = { logIn: logInForm(done), register: registerForm(done) };

  function show(name) {
    const other = name === "logIn" ? "register" : "logIn";
    const change = h(
      "p",
      { class: "faint" },
      name === "logIn" ? "New here? " : "Already have an account? ",
      h(
        "button",
        { class: "button-link", type: "button", onclick: () => show(other).focus() },
        name === "logIn" ? "Create an account" : "Sign in",
      ),
    );
    const forgotten = h("p", null, h("a", { href: linkTo("/forgot-password") }, "Forgot your password?"));
    element.replaceChildren(forms[name], ...(name === "logIn" ? [forgotten] : []), change);
    return forms[name].querySelector("input");
  }

  show("logIn");
  return element;
}

function logInForm(done) {
  return accountForm(
    "Sign in",
    [nameField(), passwordField()],
    ({ username, password }) => session.logIn(username, password),
    () => {
      toast(`Welcome back, ${session.user.username}.`, { kind: "good" });
      done();
    },
  );
}

function registerForm(done) {
  return accountForm(
    "Create account",
    [
      nameField({ minlength: 3 }),
      newPasswordField(),
      field({ label: "Email", name: "email", type: "email", autocomplete: "email", maxlength: 254 }),
    ],
    ({ username, password, email }) => session.register(username, password, email),
    () => {
      toast(`Welcome, ${session.user.username}.`, { kind: "good" });
      done();
    },
  );
}

function nameField(props) {
  return field({
    label: "Username",
    name: "username",
    required: true,
    autocomplete: "username",
    maxlength: 150,
    autocapitalize: "none",
    spellcheck: "false",
    ...props,
  });
}

/** Return the field for an existing password. */
export function passwordField(props) {
  return field({
    label: "Password",
    name: "password",
    type: "password",
    required: true,
    autocomplete: "current-password",
    maxlength: 1024,
    ...props,
  });
}

/** Return the field for a new password. */
export function newPasswordField(props) {
  return passwordField({
    autocomplete: "new-password",
    minlength: 8,
    hint: "Use at least 8 characters.",
    ...props,
  });
}

/** Return an account form; `work` gets its values, and `done` is called when it succeeds. */
export function accountForm(action, fields, work, done) {
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    fields,
    h("button", { class: "button button-primary button-wide", type: "submit" }, action),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.hasAttribute("aria-busy") || !checkForm(form)) return;
    try {
      await whileBusy(form, () => work(readForm(form)));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      showProblems(form, problem);
      return;
    }
    form.reset();
    done();
  });
  return form;
}
