// API clients: third-party programs with a client secret (OAuth 2.0 client credentials).
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { askToConfirm, toast } from "../lib/feedback.js";
import { checkForm, field, showProblems, whileBusy } from "../lib/forms.js";
import { makeList } from "./list.js";
import { badge, card, moment, pageHead, showingProblem } from "./parts.js";
import { showSecret } from "./secret.js";

const SCOPES = {
  "products:read": "List products",
  "products:write": "Change products, stock and categories",
  "orders:read": "Read all orders and where they go",
  "orders:fulfil": "Mark orders as shipped and delivered",
  "logs:read": "Search and follow logs",
  "logs:write": "Send log records",
  "tokens:introspect": "Check whether a token is valid",
};

export async function view({ signal }) {
  const notice = h("div", { class: "notice-room" });
  const list = makeList({
    path: "/auth/clients",
    caption: "API clients, newest first",
    columns: [
      { title: "Name", kind: "main", cell: (client) => client.name },
      { title: "Client ID", cell: (client) => h("code", null, client.id) },
      { title: "Scopes", cell: (client) => client.scopes.join(", ") || "none" },
      { title: "Created", cell: (client) => moment(client.created_at) },
      { title: "Status", cell: (client) => badge(client.disabled ? "disabled" : "active") },
      { title: "Actions", cell: (client) => actions(client) },
    ],
    noun: "client",
    empty: ["No API clients yet", "Create one below."],
    signal,
  });

  function actions(client) {
    const path = `/auth/clients/${encodeURIComponent(client.id)}`;
    return h(
      "div",
      { class: "button-row" },
      h(
        "button",
        { class: "button button-small", type: "button", onclick: () => rotateSecret(client, path) },
        "Rotate secret",
      ),
      h(
        "button",
        { class: "button button-small", type: "button", onclick: () => remove(client, path) },
        icon("trash"),
        "Delete",
      ),
    );
  }
  async function rotateSecret(client, path) {
    const isSure = await askToConfirm({
      title: `Rotate the secret of ${client.name}?`,
      text: "The current secret and all tokens issued with it stop working immediately.",
      action: "Rotate secret",
      danger: true,
    });
    if (isSure) await showingProblem(notice, async () => showClientSecret(await call("POST", `${path}/secret`)));
  }
  async function remove(client, path) {
    const isSure = await askToConfirm({
      title: `Delete ${client.name}?`,
      text: "Its tokens stop working immediately.",
      action: "Delete",
      danger: true,
    });
    if (!isSure) return;
    await showingProblem(notice, async () => {
      await call("DELETE", path);
      toast(`Deleted ${client.name}.`, { kind: "good" });
      list.show({});
    });
  }

  list.show({});
  return [
    pageHead("API clients"),
    notice,
    list.node,
    card(
      "Create API client",
      newClientForm((client) => {
        showClientSecret(client);
        list.show({});
      }),
    ),
  ];
}

function newClientForm(onCreated) {
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    field({ label: "Name", name: "name", required: true, maxlength: 100, autocomplete: "off" }),
    h(
      "fieldset",
      null,
      h("legend", null, "Scopes"),
      Object.entries(SCOPES).map(([scope, text]) =>
        field({ label: h("span", null, h("code", null, scope), ` ${text}`), name: scope, type: "checkbox" }),
      ),
    ),
    h("button", { class: "button button-primary", type: "submit" }, icon("plus"), "Create client"),
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
        onCreated(client);
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        showProblems(form, problem);
      }
    });
  }
  return form;
}

function showClientSecret(client) {
  showSecret({
    title: `Secret for ${client.name}`,
    text: "Copy this secret now. You cannot view it again. It grants all of the client's scopes.",
    secret: client.client_secret,
    more: field({ label: "Client ID", name: "client_id", value: client.id, readonly: true, required: true }),
  });
}
