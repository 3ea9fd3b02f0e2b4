// Signing in and registering; what is in the cart stays there.
import { Problem } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { session } from "../lib/session.js";

/** Return both forms, one at a time; `done` is called once somebody is signed in. */
export function accountForms(done) {
  const element = h("div", { class: "stack account-forms" });
  const forms = { logIn: logInForm(done), register: registerForm(done) };

  function show(name) {
    const other = name === "logIn" ? "register" : "logIn";
    const change = h(
      "p",
      { class: "faint" },
      name === "logIn" ? "New here? " : "Here before? ",
      h(
        "button",
        { class: "button-link", type: "button", onclick: () => show(other).focus() },
        name === "logIn" ? "Register" : "Sign in",
      ),
    );
    element.replaceChildren(forms[name], change);
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
    "Register",
    [
      nameField({ minlength: 3 }),
      newPasswordField(),
      field({ label: "E-mail", name: "email", type: "email", autocomplete: "email", maxlength: 254 }),
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
    label: "User name",
    name: "username",
    required: true,
    autocomplete: "username",
    maxlength: 150,
    autocapitalize: "none",
    spellcheck: "false",
    ...props,
  });
}

/** Return the field of a password that somebody has. */
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

/** Return the field of a password that somebody chooses. */
export function newPasswordField(props) {
  return passwordField({
    autocomplete: "new-password",
    minlength: 8,
    hint: "Eight characters or more.",
    ...props,
  });
}

/** Return a form that does something with an account; `work` gets its values, `done` is called if it succeeds. */
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
