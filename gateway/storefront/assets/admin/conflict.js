// Two people have changed one product: what is there now beside what one wanted to save.
import { h, icon } from "../lib/dom.js";
import { FIELDS, findDifferences } from "./product-form.js";
import { makeTable } from "./table.js";

/**
 * Return a panel about a product that is not any more as it was `seen`: it is as `now`, and `mine` differs from what
 * was seen in the fields `changed`. `onOverwrite` saves these all the same, `onTake` gives them up.
 */
export function conflictPanel({ seen, now, mine, changed, onOverwrite, onTake }) {
  const theirs = findDifferences(seen, now);
  const both = changed.filter((name) => theirs.includes(name));
  const columns = [
    { title: "Field", kind: "main", cell: (name) => FIELDS[name] },
    { title: "When you opened it", cell: (name) => show(seen[name]) },
    { title: "Now", cell: (name) => mark(theirs.includes(name), show(now[name])) },
    { title: "Yours", cell: (name) => (changed.includes(name) ? mark(true, show(mine[name])) : "not changed") },
  ];
  const table = makeTable("What has changed", columns);
  table.show(Object.keys(FIELDS).filter((name) => theirs.includes(name) || changed.includes(name)));
  return h(
    "div",
    { class: "note note-bad conflict", role: "alert" },
    h("h3", null, icon("alert"), "Somebody has changed this product meanwhile"),
    h(
      "p",
      null,
      theirs.length
        ? `It is at version ${now.version} now, and was at ${seen.version} when you opened it. Nothing of yours is saved yet.`
        : `It is at version ${now.version} now, though nothing of what stands here is different. Nothing of yours is saved yet.`,
    ),
    table.node,
    h(
      "p",
      null,
      both.length
        ? `Yours would take the place of what is there now in: ${both.map((name) => FIELDS[name]).join(", ")}.`
        : "You have changed other fields, so that both changes can stand.",
    ),
    h(
      "div",
      { class: "button-row" },
      h(
        "button",
        { class: "button button-primary", type: "button", onclick: onOverwrite },
        both.length ? "Save mine over it" : "Save mine, too",
      ),
      h("button", { class: "button", type: "button", onclick: onTake }, "Give mine up, and show what is there"),
    ),
  );
}

function show(value) {
  const text = Array.isArray(value) ? value.join(" ") : String(value ?? "");
  return text.length > 120 ? `${text.slice(0, 120)}…` : text || "empty";
}

function mark(isMarked, text) {
  return isMarked ? h("strong", null, text) : text;
}
