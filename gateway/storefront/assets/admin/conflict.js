// The edit conflict of a product: the current version next to the unsaved changes.
import { h, icon } from "../lib/dom.js";
import { describeMetadata } from "./metadata.js";
import { FIELDS, findDifferences } from "./product-form.js";
import { makeTable } from "./table.js";
import { showAmount } from "./variant-columns.js";

/**
 * Return a panel for a product that has changed since the admin opened it. `original` is the product as
 * opened, `current` the product on the server, and `mine` the form, which differs from the original in the
 * fields `changed`. `onOverwrite` saves these, `onDiscard` drops them.
 */
export function conflictPanel({ original, current, mine, changed, onOverwrite, onDiscard }) {
  const theirs = findDifferences(original, current);
  const both = changed.filter((name) => theirs.includes(name));
  const show = (product, name) => describe(name, product[name], original.currency);
  const columns = [
    { title: "Field", kind: "main", cell: (name) => FIELDS[name] },
    { title: "Original", cell: (name) => show(original, name) },
    { title: "Current", cell: (name) => mark(theirs.includes(name), show(current, name)) },
    { title: "Yours", cell: (name) => (changed.includes(name) ? mark(true, show(mine, name)) : "unchanged") },
  ];
  const table = makeTable("Changes", columns);
  table.show(Object.keys(FIELDS).filter((name) => theirs.includes(name) || changed.includes(name)));
  return h(
    "div",
    { class: "note note-bad conflict", role: "alert" },
    h("h3", null, icon("alert"), "This product has changed since you opened it"),
    h(
      "p",
      null,
      `You opened version ${original.version}, and version ${current.version} is current. Your changes are not saved.`,
    ),
    table.node,
    h(
      "p",
      null,
      both.length
        ? `Saving overwrites the current value of: ${both.map((name) => FIELDS[name]).join(", ")}.`
        : "The changes affect different fields. Saving keeps both.",
    ),
    h(
      "div",
      { class: "button-row" },
      h(
        "button",
        { class: "button button-primary", type: "button", onclick: onOverwrite },
        both.length ? "Overwrite with my changes" : "Save my changes",
      ),
      h("button", { class: "button", type: "button", onclick: onDiscard }, "Discard my changes"),
    ),
  );
}

/** Return a note for a product whose options or variants have changed since the admin opened it. */
export function restructuredNote(onReload) {
  return h(
    "div",
    { class: "note note-bad conflict", role: "alert" },
    h("h3", null, icon("alert"), "The options of this product have changed since you opened it"),
    h(
      "p",
      null,
      "Another admin changed them, so your changes are not saved. What you entered stays here until you load the " +
        "current version.",
    ),
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button", type: "button", onclick: onReload }, "Load the current version"),
    ),
  );
}

function describe(name, value, currency) {
  const text = toText(name, value, currency);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text || "empty";
}

function toText(name, value, currency) {
  if (name === "compare_at_amount") return showAmount(value, currency);
  if (name === "metadata") return describeMetadata(value ?? {});
  return Array.isArray(value) ? value.join(" ") : String(value ?? "");
}

function mark(isMarked, text) {
  return isMarked ? h("strong", null, text) : text;
}
