// Add or edit a webhook, in a dialog.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";

export const PATH = "/webhooks";
const EVENTS = [
  ["*", "All events"],
  ["order.*", "All events of orders"],
  ["order.confirmed", "An order is confirmed"],
  ["order.paid", "An order is paid"],
  ["order.shipped", "An order is shipped"],
  ["order.delivered", "An order is delivered"],
  ["order.refunded", "An order is refunded, in whole or in part"],
  ["order.cancelled", "A confirmed order is cancelled"],
  ["stock.*", "All events of the stock"],
  ["stock.low", "The stock of a variant falls to its threshold"],
];

/** Return the status of a webhook for its badge. */
export function findStatus({ active, failing_since: since }) {
  if (!active) return "off";
  return since ? "failing" : "active";
}

/** Return the URL of a webhook without its scheme and query, as its name. */
export function nameWebhook({ url }) {
  const { host, pathname } = new URL(url);
  return host + (pathname === "/" ? "" : pathname);
}

/** Add a webhook, or edit `webhook`; `onSaved(saved)` is called once it is saved. */
export function editWebhook({ webhook, onSaved }) {
  const known = webhook ?? { events: ["order.*"] };
  // A webhook of the API may also name `ping`.
  const others = known.events.filter((type) => !EVENTS.some(([name]) => name === type));
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    field({
      label: "URL",
      name: "url",
      type: "url",
      required: true,
      maxlength: 2000,
      value: known.url,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "https://",
    }),
    field({ label: "Description", name: "description", maxlength: 200, value: known.description, autocomplete: "off" }),
    h(
      "fieldset",
      null,
      h("legend", null, "Events"),
      EVENTS.map(([name, text]) =>
        field({
          label: h("span", null, `${text} `, h("code", { class: "faint" }, name)),
          name,
          type: "checkbox",
          checked: known.events.includes(name),
        }),
      ),
    ),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
    ),
  );
  const dialog = openDialog({ title: webhook ? `Edit ${nameWebhook(webhook)}` : "Add webhook", content: form });
  form.elements.url.focus();

  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { url, description, ...chosen } = readForm(form);
    const events = [...EVENTS.map(([name]) => name).filter((name) => chosen[name]), ...others];
    if (!events.length) {
      showProblems(form, { errors: [{ detail: "Choose at least one event." }] });
      return;
    }
    const body = { url, description, events };
    await whileBusy(form, async () => {
      try {
        const saved = await (webhook
          ? call("PATCH", `${PATH}/${webhook.id}`, { body })
          : call("POST", PATH, { body }));
        dialog.close();
        toast(`Saved ${nameWebhook(saved)}.`, { kind: "good" });
        onSaved(saved);
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        showProblems(form, problem);
      }
    });
  }
}
