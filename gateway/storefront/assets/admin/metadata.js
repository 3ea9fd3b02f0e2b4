// The fields of the shop's own on a product or a variant: rows of a name, a type and a value.
import { h, icon } from "../lib/dom.js";
import { openDialog } from "../lib/feedback.js";
import { checkForm, field } from "../lib/forms.js";

const TYPES = [
  ["text", "Text"],
  ["number", "Number"],
  ["boolean", "Yes or no"],
];
const MAX_FIELDS = 50;

const OF_PRODUCT = "For your own use, such as material or supplier. Programs read them from the API.";
const OF_VARIANT = "For this variant only. The fields of the whole product are above the table.";

/**
 * Return `{node, read()}` for the metadata of a product, or of what `hint` explains; `read` returns it by name,
 * in alphabetical order.
 */
export function metadataFields(metadata = {}, hint = OF_PRODUCT) {
  const rows = h("div", { class: "stack", oninput: checkNames });
  const node = h(
    "fieldset",
    { class: "metadata" },
    h("legend", null, "Further fields"),
    h("p", { class: "field-hint" }, hint),
    rows,
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button button-small", type: "button", onclick: add }, icon("plus"), "Add a field"),
    ),
  );
  for (const [name, value] of Object.entries(sortMetadata(metadata))) rows.append(makeRow(name, value));

  /** Mark names that are there twice, so that the form is not sent. */
  function checkNames() {
    const inputs = [...rows.children].map((row) => row.querySelector("input"));
    const names = inputs.map((input) => input.value.trim());
    for (const [place, input] of inputs.entries()) {
      const isTwice = names[place] && names.indexOf(names[place]) !== place;
      input.setCustomValidity(isTwice ? `There are two fields ${names[place]}.` : "");
    }
  }
  function add() {
    if (rows.children.length >= MAX_FIELDS) return;
    const row = makeRow("", "");
    rows.append(row);
    row.querySelector("input").focus();
  }
  function read() {
    const pairs = [...rows.children].map((row) => {
      const [name, type, value] = row.querySelectorAll("input, select");
      return [name.value.trim(), readValue(type.value, value.value.trim())];
    });
    return sortMetadata(Object.fromEntries(pairs));
  }
  return { node, read };
}

/** Edit the metadata of the variant `title` in a dialog; `onDone(metadata)` gets it when the admin closes with Done. */
export function editMetadata({ title, metadata, onDone }) {
  const fields = metadataFields(metadata, OF_VARIANT);
  // The heading of the dialog says the same.
  fields.node.querySelector("legend").classList.add("visually-hidden");
  let done = null;
  const form = h(
    "form",
    {
      class: "stack",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        if (!checkForm(form)) return;
        done = fields.read();
        dialog.close();
      },
    },
    fields.node,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-quiet", type: "button", onclick: () => dialog.close() }, "Go back"),
      h("button", { class: "button button-primary", type: "submit" }, "Done"),
    ),
  );
  const dialog = openDialog({ title: `Further fields of ${title}`, content: form, kind: "dialog-wide" });
  dialog.addEventListener("close", () => done && onDone(done));
}

/** Return the metadata as one line: `material: walnut; washable: yes`. */
export function describeMetadata(metadata) {
  const describe = (value) => (typeof value === "boolean" ? (value ? "yes" : "no") : value);
  return Object.entries(metadata)
    .map(([name, value]) => `${name}: ${describe(value)}`)
    .join("; ");
}

/** Return the metadata with its names in alphabetical order, so that two of them can be compared. */
export function sortMetadata(metadata) {
  return Object.fromEntries(Object.entries(metadata).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function makeRow(name, value) {
  const type = h("div");
  const key = field({ label: "Name", name: "", required: true, maxlength: 64, value: name, autocomplete: "off" });
  const kind = field({
    label: "Type",
    name: "",
    type: "select",
    required: true,
    options: TYPES,
    value: typeof value === "string" ? "text" : typeof value,
    onchange: (event) => show(event.target.value, ""),
  });
  const row = h(
    "div",
    { class: "metadata-row" },
    key,
    kind,
    type,
    h(
      "button",
      {
        class: "button-icon",
        type: "button",
        "aria-label": `Remove ${name || "this field"}`,
        onclick: () => {
          const next = row.parentElement.nextElementSibling.querySelector("button");
          const list = row.parentElement;
          row.remove();
          list.dispatchEvent(new Event("input"));
          next.focus();
        },
      },
      icon("trash"),
    ),
  );
  function show(of, current) {
    const props = { label: "Value", name: "", required: true, value: String(current) };
    const made = {
      text: () => field({ ...props, maxlength: 500 }),
      number: () => field({ ...props, type: "number", inputmode: "decimal", step: "any" }),
      boolean: () =>
        field({
          ...props,
          type: "select",
          options: [
            ["true", "Yes"],
            ["false", "No"],
          ],
          value: String(current || "true"),
        }),
    };
    type.replaceChildren(made[of]());
  }
  show(typeof value === "string" ? "text" : typeof value, value);
  return row;
}

function readValue(type, text) {
  if (type === "boolean") return text === "true";
  return type === "number" ? Number(text) : text;
}
