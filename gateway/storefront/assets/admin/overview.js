// The overview of the back office: what needs attention, with links to it.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { formatAgo, formatMoney, formatNumber } from "../lib/format.js";
import { send } from "../lib/http.js";
import { linkTo } from "../lib/router.js";
import { drawHistogram, sumLevels } from "./histogram.js";
import { badge, card, idLink, pageHead } from "./parts.js";
import { lowStockLink, stockLevel } from "./products.js";
import { may } from "./roles.js";
import { makeTable } from "./table.js";
import { SERVICES } from "./labels.js";

const PAGE = 100;
const SHOWN = 5;
// The open statuses in their order, with labels.
const OPEN = [
  ["pending", "pending"],
  ["awaiting_payment", "awaiting payment"],
  ["confirmed", "confirmed"],
  ["paid", "to ship"],
  ["shipped", "in transit"],
];
// Orders leave these statuses within seconds, or within the ten minutes that a customer has to authenticate a
// payment.
const UNFINISHED = ["pending", "awaiting_payment", "confirmed"];
const STUCK_AFTER = 15; // Minutes.
// The pages of orders that one part of the overview reads.
const MAX_PAGES = 5;

export async function view({ signal }) {
  const part = (title, produce, render, lines) => {
    const room = h("div");
    load(room, produce, render, { skeleton: skeleton("lines", lines), signal });
    return card(title, room);
  };
  const orders = may("orders") && [
    part("Open orders", () => countOrders(signal), renderOrders, 3),
    part("Oldest orders to ship", () => findOldest("paid", signal), renderOldest, 8),
    part("Stuck orders", () => findStuck(signal), renderStuck, 2),
  ];
  const others = [
    may("logs") && part("Errors in the last hour", () => countErrors(signal), renderErrors, 4),
    may("products") && part("Stock", () => findLowStock(signal), renderStock, 6),
    may("services") && part("Services", () => checkServices(signal), renderServices, 5),
  ].filter(Boolean);
  return [
    pageHead("Overview"),
    h(
      "div",
      { class: "columns columns-even" },
      orders && h("div", null, orders),
      others.length > 0 && h("div", null, others),
    ),
  ];
}

async function countOrders(signal) {
  return Promise.all(
    OPEN.map(async ([status, label]) => {
      const { data, next } = await call("GET", "/orders", { query: { status, limit: PAGE }, signal });
      return { status, label, count: data.length, isMore: Boolean(next) };
    }),
  );
}

function renderOrders(counts) {
  return h(
    "ul",
    { class: "figures" },
    counts.map(({ status, label, count, isMore }) =>
      h(
        "li",
        null,
        h(
          "a",
          { href: linkTo("/admin/orders", { status }) },
          h("strong", null, isMore ? `${formatNumber(count)} or more` : formatNumber(count)),
          ` ${label}`,
        ),
      ),
    ),
  );
}

/**
 * Find the oldest orders of a status. The API lists the newest first, so only MAX_PAGES pages of them are
 * searched.
 */
async function findOldest(status, signal) {
  const orders = [];
  let cursor = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { data, next } = await call("GET", "/orders", { query: { status, limit: PAGE, cursor }, signal });
    orders.push(...data);
    cursor = next;
    if (!next) break;
  }
  return { orders: orders.reverse().slice(0, SHOWN), isWhole: !cursor };
}

function renderOldest({ orders, isWhole }) {
  if (!orders.length) return h("p", { class: "faint" }, "No orders to ship.");
  return [
    listOrders("Paid orders, oldest first", orders),
    !isWhole &&
      h("p", { class: "faint small" }, `Only the newest ${formatNumber(MAX_PAGES * PAGE)} paid orders were searched.`),
  ];
}

async function findStuck(signal) {
  const until = new Date(Date.now() - STUCK_AFTER * 60_000).toISOString();
  const pages = await Promise.all(
    UNFINISHED.map((status) => call("GET", "/orders", { query: { status, until, limit: PAGE }, signal })),
  );
  const orders = pages.flatMap((page) => page.data).sort((one, other) => (one.created_at < other.created_at ? -1 : 1));
  return { orders, isWhole: pages.every((page) => !page.next) };
}

function renderStuck({ orders, isWhole }) {
  if (!orders.length) return h("p", { class: "faint" }, `No orders stuck for more than ${STUCK_AFTER} minutes.`);
  return [
    h(
      "p",
      null,
      h("strong", null, `${formatNumber(orders.length)}${isWhole ? "" : " or more"}`),
      ` stuck for more than ${STUCK_AFTER} minutes. They resume automatically once the service they need is back.`,
    ),
    listOrders("Stuck orders, oldest first", orders.slice(0, SHOWN)),
  ];
}

function listOrders(caption, orders) {
  const table = makeTable(caption, [
    { title: "Order", kind: "main", cell: (order) => idLink(`/admin/orders/${order.id}`, order.id) },
    { title: "Placed", cell: (order) => formatAgo(order.created_at) },
    { title: "Amount", kind: "number", cell: (order) => formatMoney(order.amount, order.currency) },
    { title: "Status", cell: (order) => badge(order.status) },
  ]);
  table.show(orders);
  return table.node;
}

async function countErrors(signal) {
  const since = new Date(Date.now() - 3_600_000).toISOString();
  const histogram = await call("GET", "/logs/histogram", { query: { level: "WARNING", since, bars: 90 }, signal });
  return { histogram, since };
}

function renderErrors({ histogram, since }) {
  const { warnings, errors } = sumLevels(histogram.data);
  return [
    h(
      "ul",
      { class: "figures" },
      h(
        "li",
        null,
        h(
          "a",
          { href: linkTo("/admin/logs", { level: "ERROR", since }) },
          h("strong", { class: errors ? "bad" : null }, formatNumber(errors)),
          " errors",
        ),
      ),
      h(
        "li",
        null,
        h(
          "a",
          { href: linkTo("/admin/logs", { level: "WARNING", since }) },
          h("strong", null, formatNumber(warnings)),
          " warnings",
        ),
      ),
    ),
    histogram.data.length > 0 && drawHistogram(histogram, { isSmall: true }),
  ];
}

/** Find products that are sold out, and variants with low stock. */
async function findLowStock(signal) {
  const [soldOut, low] = await Promise.all([
    call("GET", "/products", { query: { in_stock: false, limit: PAGE }, signal }),
    call("GET", "/products/low-stock", { query: { limit: PAGE }, signal }),
  ]);
  return { soldOut: soldOut ?? { data: [], next: null }, low };
}

function renderStock({ soldOut, low }) {
  const products = soldOut.data.map(({ id, title, stock }) => ({ product_id: id, product_title: title, stock }));
  const rows = [...products, ...low.data.filter(({ stock }) => stock > 0)].slice(0, SHOWN);
  const table = makeTable("Products with low stock", [
    { title: "Product", kind: "main", cell: lowStockLink },
    { title: "Available", kind: "number", cell: (row) => stockLevel(row.stock, row.low_stock_threshold) },
  ]);
  table.show(rows);
  const figure = (filter, { data, next }, text) =>
    h(
      "li",
      null,
      h(
        "a",
        { href: linkTo("/admin/products", { in_stock: filter }) },
        h("strong", { class: data.length ? "bad" : null }, `${formatNumber(data.length)}${next ? " or more" : ""}`),
        ` ${text}`,
      ),
    );
  return [
    h("ul", { class: "figures" }, figure("false", soldOut, "sold out"), figure("low", low, "low in stock")),
    rows.length > 0 && table.node,
  ];
}

async function checkServices(signal) {
  return Promise.all(
    SERVICES.map(async (service) => {
      try {
        await send("GET", `/healthz/${service}`, { signal });
        return [service, "ok"];
      } catch (problem) {
        if (signal.aborted) throw problem;
        return [service, "down"];
      }
    }),
  );
}

function renderServices(states) {
  return [
    h(
      "ul",
      { class: "state-list" },
      states.map(([service, state]) => h("li", null, badge(state), ` ${service}`)),
    ),
    h("p", { class: "small" }, h("a", { href: linkTo("/admin/services") }, "View all services")),
  ];
}
