// What an admin can do with a row of a list of pricing: edit it, switch it on or off, and delete it.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, toast } from "../lib/feedback.js";
import { showingProblem } from "./parts.js";

/**
 * Return the buttons of a row: `title` names it, `path` is its URL in the API, and `active` is undefined if it
 * cannot be switched off. `edit()` opens its dialog, `loss` says what its deletion means, `notice` shows what
 * went wrong, and `onSwitched(saved)` and `onDeleted()` show the new state.
 */
export function rowActions({ key, title, path, active, edit, loss, notice, onSwitched, onDeleted }) {
  const button = (action, text, onclick) =>
    h(
      "button",
      {
        class: "button button-small",
        type: "button",
        id: `${action}-${key}`,
        "aria-label": `${text} ${title}`,
        onclick,
      },
      text,
    );
  async function turn() {
    await showingProblem(notice, async () => {
      const saved = await call("PATCH", path, { body: { active: !active } });
      toast(`${title} is switched ${saved.active ? "on" : "off"}.`, { kind: "good" });
      await onSwitched(saved);
      document.getElementById(`switch-${key}`)?.focus();
    });
  }
  async function remove() {
    const isSure = await askToConfirm({ title: `Delete ${title}?`, text: loss, action: "Delete", danger: true });
    if (!isSure) return;
    await showingProblem(notice, async () => {
      await call("DELETE", path);
      toast(`Deleted ${title}.`, { kind: "good" });
      await onDeleted();
    });
  }
  return h(
    "div",
    { class: "button-row" },
    button("edit", "Edit", edit),
    active !== undefined && button("switch", active ? "Switch off" : "Switch on", turn),
    h(
      "button",
      { class: "button-icon", type: "button", "aria-label": `Delete ${title}`, title: "Delete", onclick: remove },
      icon("trash"),
    ),
  );
}

/** Show the row that has the button with this id again, and return the focus to the button. */
export function renewRow(id, columns, row) {
  const cells = document.getElementById(id)?.closest("tr")?.children ?? [];
  columns.forEach(({ cell }, place) => cells[place] && replace(cells[place], [cell(row)]));
  document.getElementById(id)?.focus();
}
