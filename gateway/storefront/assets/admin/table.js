// Tables that become cards on a phone.
import { h, replace } from "../lib/dom.js";

/**
 * Make a table. `columns` are `{title, cell(row), kind}`: `cell` returns a node or text, `kind` is `number`, `main` for
 * what names the row, or left out.
 *
 * Returns `{node, show(rows), append(rows)}`. The roles are spelled out, because a browser takes a table that is laid
 * out as cards for no table any more.
 */
export function makeTable(caption, columns) {
  const body = h("tbody", { role: "rowgroup" });
  const head = columns.map(({ title, kind }) => h("th", { role: "columnheader", scope: "col", class: kind }, title));
  const node = h(
    "table",
    { class: "table rows", role: "table" },
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head)),
    body,
  );

  function makeRow(row) {
    return h(
      "tr",
      { role: "row" },
      columns.map(({ title, cell, kind }) =>
        kind === "main"
          ? h("th", { role: "rowheader", scope: "row", class: kind }, cell(row))
          : h("td", { role: "cell", class: kind, dataset: { title } }, cell(row)),
      ),
    );
  }
  return {
    node,
    show: (rows) => replace(body, rows.map(makeRow)),
    append: (rows) => body.append(...rows.map(makeRow)),
  };
}
