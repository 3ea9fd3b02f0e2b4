// Forms that show errors next to their fields.
import { h, icon, replace } from "./dom.js";

let fields = 0;

/**
 * Return a control with its label: `field({label: "City", name: "city", required: true, maxlength: 100})`.
 *
 * `type` is an input type, `textarea`, or `select` (with `options`, a list of [value, text]). `hint`
 * describes the control; all other props are set on the control.
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
  return h(
    "select",
    props,
    options.map(([value, text]) => h("option", { value }, text)),
  );
}

/** Make a control of `field` required or optional. */
export function setRequired(control, isRequired) {
  control.required = isRequired;
  // `labels` is empty while the form is not in the page.
  const label = control.closest(".field").querySelector("label");
  label.querySelector("small")?.remove();
  if (!isRequired) {
    label.append(optionalNote());
    // An empty field is no error any more.
    if (!control.value) unmark(control);
  }
}

/** Return the values of a form by name: trimmed text, or null if empty; numbers; booleans for checkboxes. */
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

/** Validate a form with the browser's rules. Show errors next to the fields and focus the first one. */
export function checkForm(form) {
  clearProblems(form);
  const invalid = Array.from(form.elements).filter(
    (control) => control.willValidate && !control.validity.valid,
  );
  for (const control of invalid) mark(control, control.validationMessage);
  invalid[0]?.focus();
  return invalid.length === 0;
}

/**
 * Show the errors of a Problem: those with a field next to it (`shipping_address.city` is the field of that
 * name, or else `city`), all others above the form. Focus the first one.
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
      { class: "note note-bad form-problem", role: "alert", tabindex: "-1" },
      icon("alert"),
      h("p", null, text),
    );
    form.prepend(note);
    first ??= note;
  }
  first.focus();
}

/** Remove the errors that showProblems and checkForm have shown. */
export function clearProblems(form) {
  for (const note of form.querySelectorAll(".form-problem")) note.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) unmark(control);
}

/** Block the form from being submitted again while `work` runs; resolve to its result. */
export async function whileBusy(form, work) {
  // Enter submits a form even if its buttons are marked as disabled.
  if (form.hasAttribute("aria-busy")) return undefined;
  const buttons = Array.from(form.querySelectorAll("button[type=submit], button:not([type])"));
  form.setAttribute("aria-busy", "true");
  // `disabled` would drop the focus.
  for (const button of buttons) button.setAttribute("aria-disabled", "true");
  try {
    return await work();
  } finally {
    form.removeAttribute("aria-busy");
    for (const button of buttons) button.removeAttribute("aria-disabled");
  }
}

function findControl(form, path) {
  // `countries.1` is no control: a number is a place in `form.elements`, and not a name.
  const last = path.split(".").at(-1);
  const control = form.elements[path] ?? (/^[0-9]+$/.test(last) ? undefined : form.elements[last]);
  // Radio buttons share a name.
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

// Some details continue the field's name: `must have 8 to 1024 characters`. Others are sentences.
function describe(control, detail) {
  const isSentence = detail.charAt(0) !== detail.charAt(0).toLowerCase();
  const label = control.labels?.[0]?.firstChild?.textContent;
  return `${isSentence || !label ? "" : `${label} `}${detail}`.replace(/\.?$/, ".");
}
