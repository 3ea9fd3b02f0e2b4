// Forms whose faults stand beside their fields.
import { h, icon, replace } from "./dom.js";

let fields = 0;

/**
 * Return a labelled control: `field({label: "City", name: "city", required: true, autocomplete: "address-level2"})`.
 *
 * `type` is that of an input, or `textarea`, `select` (with `options`, a list of [value, text] or text) or `checkbox`;
 * `hint` is read with the control; every other prop goes to the control itself.
 */
export function field({ label, name, type = "text", hint, options, class: classes = "", ...props }) {
  const id = `field-${(fields += 1)}`;
  const described = `${id}-error${hint ? ` ${id}-hint` : ""}`;
  const all = { id, name, "aria-describedby": described, ...props };
  const control = makeControl(type, all, options);
  const optional = props.required || type === "checkbox" || type === "search" ? null : optionalNote();
  const text = h("label", { for: id }, label, optional);
  return h(
    "div",
    { class: `field ${type === "checkbox" ? "field-check" : ""} ${classes}` },
    type === "checkbox" ? [control, text] : [text, control],
    hint && h("p", { class: "field-hint", id: `${id}-hint` }, hint),
    h("p", { class: "field-error", id: `${id}-error` }),
  );
}

const optionalNote = () => h("small", null, " (optional)");

function makeControl(type, props, options) {
  if (type === "textarea") return h("textarea", { rows: 3, ...props });
  if (type !== "select") return h("input", { type, ...props });
  const choices = options.map((each) => (Array.isArray(each) ? each : [each, each]));
  return h(
    "select",
    props,
    choices.map(([value, text]) => h("option", { value }, text)),
  );
}

/** Say of a control of `field` whether it must be filled in. */
export function setRequired(control, isRequired) {
  control.required = isRequired;
  // A form that is not in the page yet has no `labels`.
  const label = control.closest(".field").querySelector("label");
  label.querySelector("small")?.remove();
  if (!isRequired) label.append(optionalNote());
}

/** Return what a form holds, by name: text trimmed and null if empty, numbers as numbers, boxes as booleans. */
export function readForm(form) {
  const values = {};
  for (const control of form.elements) {
    if (!control.name || control.disabled || (control.type === "radio" && !control.checked)) continue;
    values[control.name] = readControl(control);
  }
  return values;
}

function readControl(control) {
  if (control.type === "checkbox") return control.checked;
  if (control.type === "password") return control.value || null;
  const text = control.value.trim();
  if (text === "") return null;
  return control.type === "number" ? Number(text) : text;
}

/** Tell whether the browser finds the form in order; if not, say so beside the fields, and go to the first. */
export function checkForm(form) {
  clearProblems(form);
  const faulty = Array.from(form.elements).filter(
    (control) => control.willValidate && !control.validity.valid,
  );
  for (const control of faulty) mark(control, control.validationMessage);
  faulty[0]?.focus();
  return faulty.length === 0;
}

/**
 * Show what was refused: entries of a 422 beside their fields (`shipping_address.city` is the field of that name, else
 * `city`), all else above the form. The focus goes to the first.
 */
export function showProblems(form, problem) {
  clearProblems(form);
  const elsewhere = [];
  let first = null;
  for (const { field: path = "", detail } of problem.errors ?? []) {
    const control = findControl(form, path);
    if (control) mark(control, describe(control, detail));
    else elsewhere.push(`${path} ${detail}`.trim());
    first ??= control;
  }
  if (!first || elsewhere.length) {
    const text = elsewhere.length ? elsewhere.join("; ") : problem.message;
    const note = h(
      "div",
      { class: "form-problem", role: "alert", tabindex: "-1" },
      icon("alert"),
      h("p", null, text),
    );
    form.prepend(note);
    first ??= note;
  }
  first.focus();
}

/** Take away what showProblems and checkForm have written. */
export function clearProblems(form) {
  for (const note of form.querySelectorAll(".form-problem")) note.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) unmark(control);
}

/** Keep the form from being sent twice while `work` is done; resolves to what it resolves to. */
export async function whileBusy(form, work) {
  // Enter sends a form whatever its buttons say.
  if (form.hasAttribute("aria-busy")) return undefined;
  const buttons = Array.from(form.querySelectorAll("button[type=submit], button:not([type])"));
  form.setAttribute("aria-busy", "true");
  // `disabled` would take the focus away.
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  try {
    return await work();
  } finally {
    form.removeAttribute("aria-busy");
    for (const button of buttons) button.removeAttribute("aria-disabled");
  }
}

function findControl(form, path) {
  const control = form.elements[path] ?? form.elements[path.split(".").at(-1)];
  // Several radio buttons have one name.
  return control instanceof RadioNodeList ? control[0] : control;
}

function mark(control, text) {
  control.setAttribute("aria-invalid", "true");
  const slot = findSlot(control);
  if (slot) replace(slot, icon("alert"), text);
  control.addEventListener("input", () => unmark(control), { once: true });
}

function unmark(control) {
  control.removeAttribute("aria-invalid");
  const slot = findSlot(control);
  if (slot) replace(slot);
}

function findSlot(control) {
  return document.getElementById(`${control.id}-error`);
}

// Some details go on from the field's name, `must have 8 to 1024 characters`, and some are whole: `String should …`.
function describe(control, detail) {
  const isWhole = detail.charAt(0) !== detail.charAt(0).toLowerCase();
  const label = control.labels?.[0]?.firstChild?.textContent;
  return `${isWhole || !label ? "" : `${label} `}${detail}`.replace(/\.?$/, ".");
}
