// One user: role, account status and sessions.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, openDialog, skeleton, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { linkTo, setTitle } from "../lib/router.js";
import { session } from "../lib/session.js";
import { badge, card, errorNote, facts, moment, pageHead } from "./parts.js";
import { may, ROLES, withArticle } from "./roles.js";
import { makeTable } from "./table.js";
import { nameUser } from "./labels.js";

export async function view({ params, signal }) {
  const path = `/auth/users/${encodeURIComponent(params.id)}`;
  const heading = h("span", null, "User");
  const status = h("span");
  const notice = h("div", { tabindex: "-1", class: "notice-room" });
  const room = h("div");

  function render(user) {
    setTitle(nameUser(user));
    replace(heading, nameUser(user));
    replace(status, badge(user.disabled ? "disabled" : "active"));
    return [
      card(
        "Details",
        facts([
          ["User ID", h("code", null, user.id)],
          ["Email", user.email],
          ["Role", user.role],
          ["Two-factor authentication", user.has_totp ? "on" : "off"],
          ["Created", moment(user.created_at)],
          ["Orders", h("a", { href: linkTo("/admin/orders", { user: user.id }) }, "View orders")],
        ]),
      ),
      may("accounts") && accountCard(user, change, (done) => showing(() => refresh(done))),
      may("accounts") && sessionsCard(user, path, change, signal),
    ];
  }

  /** Show the new state of the user, and what was done. */
  async function refresh(done) {
    try {
      replace(room, render(await call("GET", path, { signal })));
    } finally {
      // After rendering, because a new form would lose the input of an admin who goes on at once.
      toast(done, { kind: "good" });
    }
    // The pressed button no longer exists.
    head.querySelector("h1").focus({ preventScroll: true });
  }

  /** Ask for confirmation, run `send`, and show the new state of the user. */
  async function change(question, send, done) {
    if (!(await askToConfirm({ danger: true, ...question }))) return;
    await showing(async () => {
      await send();
      await refresh(done);
    });
  }

  /** Run `work`, and show a Problem that it throws. */
  async function showing(work) {
    replace(notice);
    try {
      await work();
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.name !== "Problem") throw problem;
      replace(notice, errorNote(problem.message));
      notice.focus();
    }
  }

  const head = pageHead(heading, { back: { path: "/admin/users", text: "Users" }, status });
  load(room, () => call("GET", path, { signal }), render, { skeleton: skeleton("rows", 5), signal });
  return [head, notice, room];
}

function accountCard(user, change, refresh) {
  const path = `/auth/users/${user.id}`;
  const isMe = user.id === session.user?.id;
  const end = isMe
    ? "This is your own account: you will be signed out immediately."
    : "All of their sessions end immediately.";
  const meaning = h("p", { class: "faint small role-meaning", "aria-live": "polite" }, describeRole(user.role));
  const form = h(
    "form",
    {
      class: "inline-form",
      onsubmit: (event) => {
        event.preventDefault();
        const { role } = readForm(form);
        if (role === user.role) {
          toast(`${nameUser(user)} already has this role.`);
          return;
        }
        askForPassword({
          title: `Make ${nameUser(user)} ${withArticle(role)}?`,
          text: `${describeRole(role)} ${end}`,
          action: `Make ${role}`,
          send: (password) => call("PATCH", path, { body: { role, current_password: password } }),
          done: () => refresh(`Role changed to ${role}.`),
        });
      },
    },
    field({
      label: "Role",
      name: "role",
      type: "select",
      options: ROLES,
      value: user.role,
      required: true,
      onchange: ({ target }) => replace(meaning, describeRole(target.value)),
    }),
    h("button", { class: "button", type: "submit" }, "Change role"),
    meaning,
  );
  const isGuest = user.role === "guest";
  return card(
    "Account",
    isGuest ? h("p", { class: "faint" }, "A guest must create an account before the role can change.") : form,
    user.disabled
      ? h(
          "button",
          {
            class: "button",
            type: "button",
            onclick: () =>
              change(
                {
                  title: `Enable ${nameUser(user)}?`,
                  text: "They can sign in again.",
                  action: "Enable",
                  danger: false,
                },
                () => call("PATCH", path, { body: { disabled: false } }),
                "Account enabled.",
              ),
          },
          icon("check"),
          "Enable account",
        )
      : h(
          "button",
          {
            class: "button button-danger",
            type: "button",
            onclick: () =>
              change(
                {
                  title: `Disable ${nameUser(user)}?`,
                  text: `They cannot sign in until you enable the account again. ${end}`,
                  action: "Disable",
                },
                () => call("PATCH", path, { body: { disabled: true } }),
                "Account disabled.",
              ),
          },
          icon("lock"),
          "Disable account",
        ),
  );
}

function describeRole(role) {
  return ROLES.find(([name]) => name === role)?.[2];
}

/**
 * Ask for the admin's own password in a dialog, and pass it to `send`. The dialog shows the errors of a Problem,
 * and stays open until `send` succeeds.
 */
function askForPassword({ title, text, action, send, done }) {
  const { username } = session.user;
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    h("p", null, text),
    // Password managers need the username.
    h("input", { type: "text", value: username, autocomplete: "username", hidden: true, readonly: true }),
    field({
      label: "Your password",
      name: "current_password",
      type: "password",
      required: true,
      maxlength: 1024,
      autocomplete: "current-password",
      hint: `The password of ${username}.`,
    }),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-quiet", type: "button", onclick: () => dialog.close() }, "Go back"),
      h("button", { class: "button button-danger", type: "submit" }, action),
    ),
  );
  const dialog = openDialog({ title, content: form });
  form.elements.current_password.focus();

  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { current_password: password } = readForm(form);
    await whileBusy(form, async () => {
      try {
        await send(password);
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        if (dialog.isConnected) showProblems(form, problem);
        return;
      }
      dialog.close();
      await done();
    });
  }
}

function sessionsCard(user, path, change, signal) {
  const room = h("div");
  const columns = [
    { title: "Device", kind: "main", cell: (each) => each.user_agent ?? "unknown" },
    { title: "IP address", cell: (each) => each.address ?? "–" },
    { title: "Started", cell: (each) => moment(each.created_at) },
    { title: "Last used", cell: (each) => moment(each.last_used_at) },
    {
      title: "Actions",
      cell: (each) =>
        h(
          "button",
          {
            class: "button button-small",
            type: "button",
            "aria-label": `Sign out of ${each.user_agent ?? "this session"}`,
            onclick: () =>
              change(
                {
                  title: "End this session?",
                  text: "It stops working within five seconds.",
                  action: "Sign out",
                },
                () => call("DELETE", `${path}/sessions/${each.id}`),
                "Session ended.",
              ),
          },
          "Sign out",
        ),
    },
  ];
  load(
    room,
    () => call("GET", `${path}/sessions`, { signal }),
    ({ data }) => {
      if (!data.length) return h("p", { class: "faint" }, "No active sessions.");
      const table = makeTable(`Sessions of ${nameUser(user)}`, columns);
      table.show(data);
      return [
        table.node,
        h(
          "button",
          {
            class: "button button-danger",
            type: "button",
            onclick: () =>
              change(
                {
                  title: `Sign ${nameUser(user)} out everywhere?`,
                  text: "All sessions end within five seconds.",
                  action: "Sign out everywhere",
                },
                () => call("DELETE", `${path}/sessions`),
                "All sessions ended.",
              ),
          },
          icon("lock"),
          "Sign out everywhere",
        ),
      ];
    },
    { skeleton: skeleton("rows", 2), signal },
  );
  return card("Sessions", room);
}
