// All products, with their stock.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { formatMoney, formatNumber } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { session } from "../lib/session.js";
import { picture } from "../shop/catalog.js";
import { currentPrice } from "../shop/price.js";
import { filterBar } from "./filter-bar.js";
import { makeList } from "./list.js";
import { editFilters } from "./metadata-keys.js";
import { moment, pageHead } from "./parts.js";

const LOW_STOCK = 5;
// The value of the filter that lists variants instead of products.
const LOW = "low";

const SORTS = [
  ["", "Default"],
  ["newest", "Newest"],
  ["title", "Title"],
  ["price", "Price, low to high"],
  ["-price", "Price, high to low"],
];
const STOCKS = [
  ["", "Any"],
  ["true", "In stock"],
  ["false", "Sold out"],
  [LOW, "Low stock"],
];
const OTHER_FILTERS = ["q", "category", "sort"];
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
  { title: "Price", kind: "number", cell: priceCell },
  { title: "Available", kind: "number", cell: (product) => stockLevel(product.stock) },
  { title: "Updated", cell: (product) => moment(product.updated_at) },
];
const LOW_COLUMNS = [
  { title: "Product", kind: "main", cell: lowStockLink },
  { title: "SKU", cell: (variant) => variant.sku },
  { title: "Reserved", kind: "number", cell: (variant) => formatNumber(variant.reserved) },
  { title: "Available", kind: "number", cell: (variant) => stockLevel(variant.stock, variant.low_stock_threshold) },
  { title: "Low stock at", kind: "number", cell: (variant) => formatNumber(variant.low_stock_threshold) },
];

export async function view({ query, signal }) {
  const room = h("div");
  const low = makeList({
    path: "/products/low-stock",
    caption: "Variants with low stock",
    columns: LOW_COLUMNS,
    noun: "variant",
    empty: ["No low stock", "Set “Low stock at” on a product, and it is listed here at that number of units."],
    signal,
  });
  const all = makeList({
    path: "/products",
    caption: "Products",
    columns: COLUMNS,
    noun: "product",
    empty: ["No products match these filters", "Change or clear the filters to see more products."],
    complete: addSales,
    signal,
  });
  const filters = filterBar(
    [
      { name: "q", label: "Search", type: "search", maxlength: 200, autocomplete: "off" },
      { name: "category", label: "Category", type: "select", options: await listCategories(query, signal) },
      { name: "in_stock", label: "Stock", type: "select", options: STOCKS },
      { name: "sort", label: "Sort by", type: "select", options: SORTS },
    ],
    query,
    show,
  );
  function show(values) {
    const isLow = values.in_stock === LOW;
    // The list of low stock has no other filters.
    for (const control of OTHER_FILTERS.map((name) => filters.node.elements[name])) {
      control.disabled = isLow;
      if (isLow) control.value = "";
    }
    const list = isLow ? low : all;
    replace(room, list.node);
    list.show(isLow ? {} : values);
  }
  show(filters.values);
  return [pageHead("Products", { actions: actions() }), filters.node, room];
}

/** Return a link to the product of a variant in the list of low stock. */
export function lowStockLink({ product_id, product_title, title }) {
  return [
    h("a", { href: linkTo(`/admin/products/${product_id}`) }, product_title),
    title && h("small", { class: "faint" }, ` ${title}`),
  ];
}

/** Resolve to the products with their `sales`; without them if they cannot be fetched. */
async function addSales(products, signal) {
  if (!products.length) return products;
  try {
    const query = { product_id: products.map(({ id }) => id) };
    const { data } = await call("GET", "/products/sales", { query, signal });
    return products.map((product) => ({
      ...product,
      sales: data.filter(({ product_id: id }) => id === product.id),
    }));
  } catch (problem) {
    if (problem.name !== "Problem") throw problem;
    return products;
  }
}

function priceCell(product) {
  const sales = (product.sales ?? []).map((sale) => describeSales(sale, product.unit_amount));
  return h("div", { class: "price-cell" }, currentPrice(product), sales);
}

// The API sums the sales of several variants: their lowest price, the first start and the first end.
function describeSales({ state, unit_amount: amount, variant_count: count, currency, starts, ends }, shown) {
  const isRunning = state === "running";
  return h(
    "small",
    { class: "faint" },
    isRunning ? "Sale" : "Planned sale",
    amount !== shown && ` ${count > 1 ? "from " : ""}${formatMoney(amount, currency)}`,
    count > 1 && ` of ${formatNumber(count)} variants`,
    !isRunning && [" from ", moment(starts)],
    ends ? [" until ", moment(ends)] : isRunning && " without an end",
  );
}

/** Return the available units; a badge highlights as few as `threshold`, or fewer. */
export function stockLevel(stock, threshold = LOW_STOCK) {
  if (stock > threshold) return formatNumber(stock);
  return h("span", { class: `badge badge-${stock > 0 ? "warn" : "bad"}` }, stock > 0 ? `${stock} left` : "Sold out");
}

function actions() {
  return [
    h("a", { class: "button button-primary", href: linkTo("/admin/products/new") }, icon("plus"), "Add product"),
    h("a", { class: "button", href: linkTo("/admin/products/import") }, "Import"),
    h("button", { class: "button", type: "button", onclick: () => showingToast(download) }, "Export"),
    h("a", { class: "button", href: linkTo("/admin/products/source") }, "Product source"),
    h("button", { class: "button", type: "button", onclick: () => showingToast(editFilters) }, "Filters"),
  ];
}

/** Run `work`; tell the admin why it failed. */
async function showingToast(work) {
  try {
    await work();
  } catch (problem) {
    toast(problem.message, { kind: "bad" });
  }
}

async function download() {
  // The browser downloads the file itself, so the token must be valid before.
  await session.ensure();
  h("a", { href: "/products/export", download: "products.jsonl" }).click();
}

async function listCategories(query, signal) {
  const any = [["", "Any"]];
  const chosen = query.get("category");
  try {
    const { data } = (await call("GET", "/categories", { query: { limit: 100 }, signal })) ?? { data: [] };
    const listed = data.map(({ name, count }) => [name, `${name} (${formatNumber(count)})`]);
    const isMissing = chosen && !listed.some(([name]) => name === chosen);
    return [...any, ...(isMissing ? [[chosen, chosen]] : []), ...listed];
  } catch (problem) {
    if (signal.aborted) throw problem;
    // The list reports the error; its other filters still work.
    return chosen ? [...any, [chosen, chosen]] : any;
  }
}
