// What is for sale, as whoever keeps the stock sees it.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { formatMoney, formatNumber } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { session } from "../lib/session.js";
import { picture } from "../shop/catalog.js";
import { filterBar } from "./filters.js";
import { makeList } from "./list.js";
import { moment, pageHead } from "./parts.js";

export const LOW_STOCK = 5;

const SORTS = [
  ["", "Best match, or by number"],
  ["newest", "Newest first"],
  ["title", "Title"],
  ["price", "Cheapest first"],
  ["-price", "Dearest first"],
];
const STOCKS = [
  ["", "Any"],
  ["true", "Can be sold"],
  ["false", "Sold out"],
];
const COLUMNS = [
  {
    title: "Product",
    kind: "main",
    cell: (product) =>
      h(
        "div",
        { class: "product-cell" },
        picture(product, { size: 44 }),
        h(
          "div",
          null,
          h("a", { href: linkTo(`/admin/products/${product.id}`) }, product.title),
          h("small", { class: "faint" }, product.sku),
        ),
      ),
  },
  { title: "Category", cell: (product) => product.category },
  { title: "Price", kind: "number", cell: (product) => formatMoney(product.unit_amount, product.currency) },
  { title: "Can be sold", kind: "number", cell: (product) => stockMark(product.stock) },
  { title: "Changed", cell: (product) => moment(product.updated_at) },
];

export async function view({ query, signal }) {
  const list = makeList({
    path: "/products",
    caption: "Products",
    columns: COLUMNS,
    nouns: ["product", "products"],
    empty: ["No product fits", "The catalogue is empty, or the filters leave nothing over."],
    signal,
  });
  const filters = filterBar(
    [
      { name: "q", label: "Words", type: "search", maxlength: 200, autocomplete: "off" },
      { name: "category", label: "Category", type: "select", options: await listCategories(query, signal) },
      { name: "in_stock", label: "Stock", type: "select", options: STOCKS },
      { name: "sort", label: "Order", type: "select", options: SORTS },
    ],
    query,
    list.show,
  );
  list.show(filters.values);
  return [pageHead("Products", { actions: actions() }), filters.node, list.node];
}

/** Return how many units can be sold; few of them stand out. */
export function stockMark(stock) {
  if (stock > LOW_STOCK) return formatNumber(stock);
  return h("span", { class: `badge badge-${stock > 0 ? "warn" : "bad"}` }, stock > 0 ? `${stock} left` : "Sold out");
}

function actions() {
  return [
    h("a", { class: "button button-primary", href: linkTo("/admin/products/new") }, icon("plus"), "New product"),
    h("a", { class: "button", href: linkTo("/admin/products/import") }, "Import"),
    h("button", { class: "button", type: "button", onclick: download }, "Export"),
    h("a", { class: "button", href: linkTo("/admin/products/source") }, "Product source"),
  ];
}

async function download() {
  try {
    // The browser fetches the file by itself, so the token has to be good before.
    await session.ensure();
    h("a", { href: "/products/export", download: "products.jsonl" }).click();
  } catch (problem) {
    toast(problem.message, { kind: "bad" });
  }
}

async function listCategories(query, signal) {
  const any = [["", "Any"]];
  const chosen = query.get("category");
  try {
    const { data } = (await call("GET", "/categories", { query: { limit: 100 }, signal })) ?? { data: [] };
    const known = data.map(({ name, count }) => [name, `${name} (${formatNumber(count)})`]);
    const isMissing = chosen && !known.some(([name]) => name === chosen);
    return [...any, ...(isMissing ? [[chosen, chosen]] : []), ...known];
  } catch (problem) {
    if (signal.aborted) throw problem;
    // The list says what is wrong; without the categories it can still be searched.
    return chosen ? [...any, [chosen, chosen]] : any;
  }
}
