// The forms to sign in and to create an account.
import { Problem } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
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
    const below = name === "logIn" ? [forgotten, change] : [change];
    // Between the password and the code there is no other account to create.
    forms.logIn.addEventListener("step", ({ detail }) => {
      for (const each of below) each.hidden = detail.needsCode;
    });
    element.replaceChildren(forms[name], ...below);
    return forms[name].querySelector("input");
  }

  show("logIn");
  return element;
}

function logInForm(done) {
  const credentials = h("div", { class: "stack" }, nameField(), passwordField());
  const second = h("div", { class: "stack", hidden: true });
  const form = accountForm("Sign in", [credentials, second], logIn, () => {
    const { username, totpRequired } = session.user;
    if (totpRequired) toast("Turn on two-factor authentication to open the back office.");
    else toast(`Welcome back, ${username}.`, { kind: "good" });
    done();
  });

  /** Show the fields of the first step, or the code in their place; what was entered there stays. */
  function show(needsCode) {
    credentials.hidden = needsCode;
    second.hidden = !needsCode;
    const other = { class: "button-link", type: "button", onclick: () => show(false) };
    replace(
      second,
      needsCode && [
        h(
          "p",
          { class: "faint" },
          "Signing in as ",
          h("strong", null, credentials.querySelector("[name=username]").value.trim()),
          ". ",
          h("button", other, "Change"),
        ),
        codeField("otp"),
      ],
    );
    form.dispatchEvent(new CustomEvent("step", { detail: { needsCode } }));
    (needsCode ? second : credentials).querySelector("input").focus();
  }

  async function logIn({ username, password, otp }) {
    try {
      await session.logIn(username, password, otp);
      return true;
    } catch (problem) {
      if (problem.code === "otp_required") {
        show(true);
        return false;
      }
      if (problem.code === "otp_invalid") problem.errors = [{ field: "otp", detail: problem.message }];
      // The password has changed since the first step.
      if (problem.code === "wrong_credentials" && !second.hidden) show(false);
      throw problem;
    }
  }

  return form;
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

/** Return the hidden username that password managers need next to a password. */
export function usernameFor(user) {
  return h("input", {
    type: "text",
    name: "username",
    value: user.username,
    autocomplete: "username",
    hidden: true,
    "aria-label": "Username",
    readonly: true,
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

/** Return the field for a code of the authenticator app, with a button for a recovery code in its place. */
export function codeField(name) {
  const room = h("div", { class: "stack-tight" });
  function show(isApp) {
    const props = isApp
      ? {
          label: "Code",
          hint: "The six digits that your authenticator app shows.",
          autocomplete: "one-time-code",
          inputmode: "numeric",
          maxlength: 20,
        }
      : {
          label: "Recovery code",
          hint: "One of the codes that you saved. Each works once.",
          autocomplete: "off",
          autocapitalize: "none",
          maxlength: 64,
        };
    replace(
      room,
      field({ name, required: true, spellcheck: "false", ...props }),
      h(
        "div",
        null,
        h(
          "button",
          { class: "button-link small", type: "button", onclick: () => show(!isApp).focus() },
          isApp ? "Use a recovery code" : "Use the authenticator app",
        ),
      ),
    );
    return room.querySelector("input");
  }
  show(true);
  return room;
}

/**
 * Return an account form; `work` gets its values, and `done` is called with its result when it succeeds. If the
 * result is false, the form goes on.
 */
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
    let result;
    try {
      result = await whileBusy(form, () => work(readForm(form)));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      showProblems(form, problem);
      return;
    }
    if (result === false) return;
    form.reset();
    done(result);
  });
  return form;
}
