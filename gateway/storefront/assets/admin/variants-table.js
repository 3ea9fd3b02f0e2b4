// The variants of a product as a spreadsheet: a row for each combination, edited with the keyboard.
import { h, icon, replace } from "../lib/dom.js";
import { announce, toast } from "../lib/feedback.js";
import { countOf } from "../lib/labels.js";
import { editMetadata } from "./metadata.js";
import { normalize } from "./variant-columns.js";

/** Return `{node, render, check, showNotes}`, a table that edits the rows of `set`. */
export function variantsTable(set) {
  const { columns } = set;
  const typed = columns.filter(({ inputmode }) => inputmode);
  const count = h("p", { class: "list-count faint", role: "status" });
  const head = h("thead", null, h("tr", null, heading("Variant"), columns.map(({ label }) => heading(label))));
  const all = h("tbody");
  const body = h("tbody");
  const node = h(
    "div",
    { class: "variants" },
    count,
    h(
      "div",
      { class: "variants-scroll" },
      h("table", { class: "variants-table" }, h("caption", { class: "visually-hidden" }, "Variants"), head, all, body),
    ),
    h(
      "p",
      { class: "faint small" },
      "Arrow keys, Enter and Tab move between cells, Escape restores a cell, and you can paste cells from a " +
        "spreadsheet. Untick a variant that you do not sell.",
    ),
  );
  node.addEventListener("keydown", move);
  node.addEventListener("paste", paste);
  node.addEventListener("focusin", ({ target }) => {
    if (!target.matches(".cell")) return;
    // Escape restores this text, and typing replaces the cell.
    if (!target.matches("input")) return;
    target.dataset.before = target.value;
    target.select();
  });
  replace(all, allRow());

  function render() {
    replace(body, set.rows.map(makeRow));
    showCount();
  }
  function showCount() {
    const left = set.rows.length - set.sold.length;
    count.textContent =
      `${countOf(set.sold.length, "variant")}${left ? `, ${countOf(left, "combination")} left out` : ""}.` +
      (set.isSparse ? " There are too many combinations to list those without a variant." : "");
  }

  function makeRow(row) {
    const title = set.title(row);
    const tick = h("input", {
      type: "checkbox",
      checked: row.isSold,
      "aria-label": `Sell ${title}`,
      // Enter would submit the form.
      onkeydown: (event) => event.key === "Enter" && event.preventDefault(),
      onchange: () => {
        row.isSold = tick.checked;
        row.note = row.id && !row.isSold ? { text: "When you save, the shop stops selling this variant." } : null;
        const fresh = makeRow(row);
        note.remove();
        line.replaceWith(...fresh);
        fresh[0].querySelector("[type=checkbox]").focus();
        showCount();
      },
    });
    const line = h(
      "tr",
      { class: row.isSold ? null : "is-left-out", dataset: { row: row.key } },
      h("th", { scope: "row" }, h("span", { class: "variant-name" }, tick, h("span", null, title))),
      columns.map((column) => h("td", null, cell(row, column, title))),
    );
    const note = h(
      "tr",
      { class: "variant-note", hidden: !row.note, id: `note-${row.key}` },
      h("td", { colspan: columns.length + 1 }, h("p", null, icon("alert"), h("span", null, row.note?.text))),
    );
    return [line, note];
  }

  function cell(row, column, title) {
    const { name, label, inputmode } = column;
    if (!inputmode) return dialogCell(row, column, title);
    const isWrong = row.note?.cell === name;
    const input = h("input", {
      class: "cell",
      type: "text",
      inputmode,
      autocomplete: "off",
      "aria-label": `${label}, ${title}`,
      "aria-invalid": isWrong && "true",
      "aria-describedby": row.note && `note-${row.key}`,
      disabled: !row.isSold,
      value: row.cells[name],
      placeholder: name === "sku" && !row.id ? "Generated" : null,
      dataset: { name },
      oninput: () => {
        row.cells[name] = input.value;
        clearNote(row);
      },
      onchange: () => {
        input.value = row.cells[name] = normalize(column, input.value);
      },
    });
    return input;
  }

  /** Return a cell that shows its value, and opens a dialog to edit it. */
  function dialogCell(row, column, title) {
    const { name, label, read, show, describe } = column;
    const text = describe(row.cells[name]);
    const edit = () =>
      editMetadata({
        title,
        metadata: read(row.cells[name]),
        onDone: (metadata) => {
          row.cells[name] = show(metadata);
          clearNote(row);
          const fresh = dialogCell(row, column, title);
          button.replaceWith(fresh);
          fresh.focus();
        },
      });
    const button = h(
      "button",
      {
        class: "cell",
        type: "button",
        "aria-label": `${label}, ${title}: ${text || "Add"}`,
        "aria-haspopup": "dialog",
        "aria-describedby": row.note && `note-${row.key}`,
        title: text || null,
        disabled: !row.isSold,
        dataset: { name },
        onclick: edit,
      },
      text ? h("span", null, text) : [icon("plus"), "Add"],
    );
    return button;
  }

  function clearNote(row) {
    if (!row.note) return;
    row.note = null;
    const line = body.querySelector(`[data-row="${row.key}"]`);
    line.nextElementSibling.hidden = true;
    for (const input of line.querySelectorAll(".cell")) {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  }

  /** Return the row whose entries apply to all variants. */
  function allRow() {
    const inputs = columns.map(({ name, label, inputmode }) =>
      name === "sku" || !inputmode
        ? null
        : h("input", {
            class: "cell",
            type: "text",
            inputmode,
            autocomplete: "off",
            "aria-label": `${label}, all variants`,
            dataset: { name },
          }),
    );
    function apply() {
      const given = inputs.filter((input) => input?.value.trim());
      if (!given.length) return;
      change(() => {
        for (const row of set.sold) for (const input of given) write(row, input.dataset.name, input.value.trim());
      }, `Applied to ${countOf(set.sold.length, "variant")}.`);
      for (const input of given) input.value = "";
    }
    const line = h(
      "tr",
      { class: "variants-all" },
      h(
        "th",
        { scope: "row" },
        h(
          "span",
          { class: "variant-name" },
          "All variants",
          h("button", { class: "button button-small", type: "button", onclick: apply }, "Apply to all"),
        ),
      ),
      inputs.map((input) => h("td", null, input)),
    );
    line.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches(".cell")) return;
      event.preventDefault();
      event.stopPropagation();
      apply();
    });
    return line;
  }

  function write(row, name, text) {
    row.cells[name] = normalize(
      columns.find((column) => column.name === name),
      text,
    );
    row.note = null;
  }
  /** Change many cells at once; the toast can undo it. */
  function change(work, text) {
    const before = new Map(set.rows.map((row) => [row, { ...row.cells }]));
    const place = document.activeElement?.closest?.("tr")?.dataset.row;
    const name = document.activeElement?.dataset.name;
    const show = () => {
      render();
      if (place) body.querySelector(`[data-row="${place}"] [data-name="${name}"]`)?.focus();
    };
    work();
    show();
    const undo = () => {
      for (const [row, cells] of before) row.cells = cells;
      show();
    };
    toast(text, { action: { label: "Undo", run: undo } });
  }

  function paste(event) {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    if (!event.target.matches("tbody + tbody input.cell") || !/[\t\n\r]/.test(text)) return;
    event.preventDefault();
    const lines = text.replace(/\r?\n$/, "").split(/\r?\n/).map((line) => line.split("\t"));
    const from = set.sold.findIndex((row) => String(row.key) === event.target.closest("tr").dataset.row);
    const column = typed.findIndex(({ name }) => name === event.target.dataset.name);
    const rows = set.sold.slice(from, from + lines.length);
    const width = Math.max(...lines.map((line) => line.length));
    const fitting = Math.min(width, typed.length - column);
    const isCut = rows.length < lines.length || fitting < width;
    change(
      () => {
        for (const [n, row] of rows.entries()) {
          for (const [m, { name }] of typed.slice(column, column + fitting).entries()) {
            if (lines[n][m] !== undefined) write(row, name, lines[n][m].trim());
          }
        }
      },
      `Pasted ${countOf(rows.length, "row")} of ${countOf(fitting, "column")}.` +
        (isCut ? " The other cells did not fit." : ""),
    );
  }

  function move(event) {
    const { target: input, key } = event;
    if (!input.matches(".cell") || event.altKey || event.ctrlKey || event.metaKey || event.isComposing) return;
    const isText = input.matches("input");
    // Enter opens the dialog of a cell.
    if (!isText && (key === "Enter" || key === "Escape")) return;
    if (key === "Escape") {
      event.preventDefault();
      input.value = input.dataset.before;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      input.select();
      return;
    }
    const isWhole = !isText || input.selectionEnd - input.selectionStart === input.value.length;
    const [down, right] = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      Enter: [event.shiftKey ? -1 : 1, 0],
      // Inside a text these move the caret.
      ArrowLeft: [0, isWhole || input.selectionEnd === 0 ? -1 : 0],
      ArrowRight: [0, isWhole || input.selectionStart === input.value.length ? 1 : 0],
    }[key] ?? [0, 0];
    // Shift extends the selection; Enter never submits the form from a cell.
    if (key === "Enter") event.preventDefault();
    if ((!down && !right) || (event.shiftKey && key !== "Enter")) return;
    event.preventDefault();
    findNeighbour(input, down, right)?.focus();
  }
  function findNeighbour(input, down, right) {
    const all = [...node.querySelectorAll(".cell:not(:disabled)")];
    if (right) return all[all.indexOf(input) + right];
    const column = all.filter(({ dataset }) => dataset.name === input.dataset.name);
    return column[column.indexOf(input) + down];
  }

  /** Read all cells; show the errors, and return whether there is none. */
  function check() {
    for (const row of set.sold) {
      row.note = null;
      for (const { name, label, read } of columns) {
        try {
          read(row.cells[name]);
        } catch (error) {
          row.note ??= { text: `${label}: ${error.message}`, cell: name };
        }
      }
    }
    return !showNotes();
  }
  /** Render the notes of the rows, focus the first and announce them; return whether there are any. */
  function showNotes() {
    render();
    const noted = set.rows.filter((row) => row.note && row.isSold);
    if (!noted.length) return false;
    const line = body.querySelector(`[data-row="${noted[0].key}"]`);
    (line.querySelector(`[data-name="${noted[0].note.cell}"]`) ?? line.querySelector(".cell")).focus();
    announce(`${countOf(noted.length, "variant")} with errors. ${set.title(noted[0])}: ${noted[0].note.text}`);
    return true;
  }
  render();
  return { node, render, check, showNotes };
}

function heading(text) {
  return h("th", { scope: "col" }, text);
}
