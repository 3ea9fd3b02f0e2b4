// One user: role, account, and where the user is logged in.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { field, readForm, whileBusy } from "../lib/forms.js";
import { linkTo, setTitle } from "../lib/router.js";
import { session } from "../lib/session.js";
import { badge, card, facts, moment, pageHead, refusalNote } from "./parts.js";
import { makeTable } from "./table.js";
import { nameUser } from "./words.js";

export async function view({ params, signal }) {
  const path = `/auth/users/${encodeURIComponent(params.id)}`;
  const heading = h("span", null, "User");
  const mark = h("span");
  const notice = h("div", { tabindex: "-1", class: "notice-room" });
  const room = h("div");

  function render(user) {
    setTitle(nameUser(user));
    replace(heading, nameUser(user));
    replace(mark, badge(user.disabled ? "disabled" : "active"));
    return [
      card(
        "About",
        facts([
          ["Number", h("code", null, user.id)],
          ["Email", user.email],
          ["Role", user.role],
          ["Since", moment(user.created_at)],
          ["Orders", h("a", { href: linkTo("/admin/orders", { user: user.id }) }, "Orders of this user")],
        ]),
      ),
      accountCard(user, change),
      sessionsCard(user, path, change, signal),
    ];
  }

  /** Ask, do it, and show the user as it is then; resolves to whether it was done. */
  async function change(question, send, done) {
    if (!(await askToConfirm({ danger: true, ...question }))) return;
    replace(notice);
    try {
      await send();
      try {
        replace(room, render(await call("GET", path, { signal })));
      } finally {
        // Not sooner: what is chosen in the old form meanwhile would be gone.
        toast(done, { kind: "good" });
      }
      // The button that was pressed is gone.
      head.querySelector("h1").focus({ preventScroll: true });
    } catch (problem) {
      if (signal.aborted) return;
      if (problem.name !== "Problem") throw problem;
      replace(notice, refusalNote(problem.message));
      notice.focus();
    }
  }

  const head = pageHead(heading, { back: { path: "/admin/users", text: "Users" }, mark });
  load(room, () => call("GET", path, { signal }), render, { skeleton: skeleton("rows", 5), signal });
  return [head, notice, room];
}

function accountCard(user, change) {
  const path = `/auth/users/${user.id}`;
  const isMe = user.id === session.user?.id;
  const end = isMe ? "This is you: you are signed out at once." : "All of the user's sessions end at once.";
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
          toast(`${nameUser(user)} is ${role} already.`);
          return;
        }
        const text = role === "admin" ? `An admin may do all that you may here. ${end}` : end;
        whileBusy(form, () =>
          change(
            { title: `Make ${nameUser(user)} ${role}?`, text, action: `Make ${role}` },
            () => call("PATCH", path, { body: { role } }),
            `${nameUser(user)} is ${role} now.`,
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
    isGuest ? h("p", { class: "faint" }, "This is a guest, who has to register before getting another role.") : form,
    user.disabled
      ? h(
          "button",
          {
            class: "button",
            type: "button",
            onclick: () =>
              change(
                {
                  title: `Open the account of ${nameUser(user)}?`,
                  text: "The user can log in again.",
                  action: "Open it",
                  danger: false,
                },
                () => call("PATCH", path, { body: { disabled: false } }),
                "The account is open.",
              ),
          },
          icon("check"),
          "Open the account",
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
                  text: `Nobody can log in to the account until it is opened again. ${end}`,
                  action: "Disable",
                },
                () => call("PATCH", path, { body: { disabled: true } }),
                "The account is disabled.",
              ),
          },
          icon("lock"),
          "Disable the account",
        ),
  );
}

function sessionsCard(user, path, change, signal) {
  const room = h("div");
  const columns = [
    { title: "Browser or program", kind: "main", cell: (each) => each.user_agent ?? "unknown" },
    { title: "Address", cell: (each) => each.address ?? "–" },
    { title: "Since", cell: (each) => moment(each.created_at) },
    { title: "Last used", cell: (each) => moment(each.last_used_at) },
    {
      title: "End",
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
                  title: "Sign the user out there?",
                  text: "Within five seconds nothing can be done there any more.",
                  action: "Sign out",
                },
                () => call("DELETE", `${path}/sessions/${each.id}`),
                "The session has ended.",
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
      if (!data.length) return h("p", { class: "faint" }, "The user is logged in nowhere.");
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
                "All sessions have ended.",
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
