// Programs of others, which get in with a secret of their own (OAuth 2.0 client credentials).
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, openDialog, toast } from "../lib/feedback.js";
import { checkForm, field, showProblems, whileBusy } from "../lib/forms.js";
import { makeList } from "./list.js";
import { badge, card, moment, pageHead, refusalNote } from "./parts.js";

const SCOPES = {
  "products:read": "list products",
  "logs:read": "search and follow the logs",
  "logs:write": "send log records",
  "tokens:introspect": "ask whether a token is good",
};

export async function view({ signal }) {
  const notice = h("div", { class: "notice-room" });
  const list = makeList({
    path: "/auth/clients",
    caption: "Programs, newest first",
    columns: [
      { title: "Name", kind: "main", cell: (client) => client.name },
      { title: "Client id", cell: (client) => h("code", null, client.id) },
      { title: "May", cell: (client) => client.scopes.join(", ") || "nothing" },
      { title: "Since", cell: (client) => moment(client.created_at) },
      { title: "Account", cell: (client) => badge(client.disabled ? "disabled" : "active") },
      { title: "Change", cell: (client) => actions(client) },
    ],
    nouns: ["program", "programs"],
    empty: ["No program has access", "Make a client for one below."],
    signal,
  });

  function actions(client) {
    const path = `/auth/clients/${encodeURIComponent(client.id)}`;
    return h(
      "div",
      { class: "button-row" },
      h("button", { class: "button button-small", type: "button", onclick: () => renew(client, path) }, "New secret"),
      h(
        "button",
        { class: "button button-small", type: "button", onclick: () => remove(client, path) },
        icon("trash"),
        "Remove",
      ),
    );
  }
  async function renew(client, path) {
    const sure = await askToConfirm({
      title: `Give ${client.name} a new secret?`,
      text: "The old one, and every token that was had with it, are of no use at once.",
      action: "New secret",
      danger: true,
    });
    if (sure) await attempt(async () => showSecret(await call("POST", `${path}/secret`)));
  }
  async function remove(client, path) {
    const sure = await askToConfirm({
      title: `Remove ${client.name}?`,
      text: "Its tokens end at once.",
      action: "Remove",
      danger: true,
    });
    if (!sure) return;
    await attempt(async () => {
      await call("DELETE", path);
      toast(`${client.name} is removed.`, { kind: "good" });
      list.show({});
    });
  }
  async function attempt(work) {
    replace(notice);
    try {
      await work();
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      replace(notice, refusalNote(problem.message));
    }
  }

  list.show({});
  return [
    pageHead("Programs"),
    notice,
    list.node,
    card(
      "New program",
      newClientForm((client) => {
        showSecret(client);
        list.show({});
      }),
    ),
  ];
}

function newClientForm(onMade) {
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    field({ label: "Name", name: "name", required: true, maxlength: 100, autocomplete: "off" }),
    h(
      "fieldset",
      null,
      h("legend", null, "What it may do"),
      Object.entries(SCOPES).map(([scope, text]) =>
        field({ label: h("span", null, h("code", null, scope), ` ${text}`), name: scope, type: "checkbox" }),
      ),
    ),
    h("button", { class: "button button-primary", type: "submit" }, icon("plus"), "Make a client"),
  );
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const scopes = Object.keys(SCOPES).filter((scope) => form.elements[scope].checked);
    const body = { name: form.elements.name.value.trim(), scopes };
    await whileBusy(form, async () => {
      try {
        const client = await call("POST", "/auth/clients", { body });
        form.reset();
        onMade(client);
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        showProblems(form, problem);
      }
    });
  }
  return form;
}

function showSecret(client) {
  const secret = field({
    label: "Secret",
    name: "secret",
    value: client.client_secret,
    readonly: true,
    required: true,
  });
  const dialog = openDialog({
    title: `The secret of ${client.name}`,
    content: h(
      "div",
      { class: "stack" },
      h("p", null, "It is shown now and never again. Whoever has it can do what the program may do."),
      field({ label: "Client id", name: "client_id", value: client.id, readonly: true, required: true }),
      secret,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", type: "button", onclick: copy }, "Copy the secret"),
        h("button", { class: "button button-primary", type: "button", onclick: () => dialog.close() }, "I have it"),
      ),
    ),
  });
  async function copy() {
    const input = secret.querySelector("input");
    input.select();
    // The clipboard is there only where the page came over HTTPS or from localhost; selected it is in any case.
    try {
      await navigator.clipboard.writeText(input.value);
      toast("The secret is copied.", { kind: "good" });
    } catch {
      toast("The secret is selected; copy it by hand.");
    }
  }
}
