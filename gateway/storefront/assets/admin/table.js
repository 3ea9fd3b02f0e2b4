// Tables whose rows become cards on a phone.
import { h, replace } from "../lib/dom.js";

/**
 * Return `{node, show(rows), append(rows)}`. `columns` are `{title, cell(row), kind}`: `cell` returns a node
 * or text; `kind` is `number`, `main` for the row header, or undefined.
 *
 * The roles are explicit, because browsers drop the table semantics when CSS changes `display`.
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
