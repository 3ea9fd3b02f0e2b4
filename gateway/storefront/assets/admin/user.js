// One user: role, account status and sessions.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { field, readForm, whileBusy } from "../lib/forms.js";
import { linkTo, setTitle } from "../lib/router.js";
import { session } from "../lib/session.js";
import { badge, card, errorNote, facts, moment, pageHead } from "./parts.js";
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
      accountCard(user, change),
      sessionsCard(user, path, change, signal),
    ];
  }

  /** Ask for confirmation, run `send`, and show the new state of the user. */
  async function change(question, send, done) {
    if (!(await askToConfirm({ danger: true, ...question }))) return;
    replace(notice);
    try {
      await send();
      try {
        replace(room, render(await call("GET", path, { signal })));
      } finally {
        // After rendering, because a new form would lose the input of an admin who goes on at once.
        toast(done, { kind: "good" });
      }
      // The pressed button no longer exists.
      head.querySelector("h1").focus({ preventScroll: true });
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

function accountCard(user, change) {
  const path = `/auth/users/${user.id}`;
  const isMe = user.id === session.user?.id;
  const end = isMe
    ? "This is your own account: you will be signed out immediately."
    : "All of their sessions end immediately.";
  const roles = [
    ["customer", "Customer"],
    ["admin", "Admin"],
  ];
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
        const text = role === "admin" ? `An admin has full access to the back office. ${end}` : end;
        whileBusy(form, () =>
          change(
            { title: `Make ${nameUser(user)} ${role === "admin" ? "an" : "a"} ${role}?`, text, action: `Make ${role}` },
            () => call("PATCH", path, { body: { role } }),
            `Role changed to ${role}.`,
          ),
        );
      },
    },
    field({ label: "Role", name: "role", type: "select", options: roles, value: user.role, required: true }),
    h("button", { class: "button", type: "submit" }, "Change role"),
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
