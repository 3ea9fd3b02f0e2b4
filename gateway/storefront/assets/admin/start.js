// What needs somebody's attention, each with the way to it.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { formatAgo, formatMoney, formatNumber } from "../lib/format.js";
import { send } from "../lib/http.js";
import { linkTo } from "../lib/router.js";
import { drawHistogram, sumLevels } from "./histogram.js";
import { badge, card, idLink, pageHead } from "./parts.js";
import { LOW_STOCK, stockMark } from "./products.js";
import { makeTable } from "./table.js";
import { SERVICES } from "./words.js";

const PAGE = 100;
const SHOWN = 5;
// What is still open, in the order in which it is done.
const OPEN = [
  ["pending", "being placed"],
  ["awaiting_payment", "waiting for the bank"],
  ["confirmed", "being paid"],
  ["paid", "to be sent"],
  ["shipped", "on their way"],
];
// These should be over in moments, and the bank's question after ten minutes.
const UNFINISHED = ["pending", "awaiting_payment", "confirmed"];
const LATE = 15;
// So many products are looked through for those of which few are left.
const MOST_PAGES = 5;

export async function view({ signal }) {
  const part = (title, produce, render, lines) => {
    const room = h("div");
    load(room, produce, render, { skeleton: skeleton("lines", lines), signal });
    return card(title, room);
  };
  return [
    pageHead("Overview"),
    h(
      "div",
      { class: "columns columns-even" },
      h(
        "div",
        null,
        part("Open orders", () => countOrders(signal), renderOrders, 3),
        part("To be sent, the oldest first", () => findOldest("paid", signal), renderOldest, 8),
        part("Unfinished orders", () => findLate(signal), renderLate, 2),
      ),
      h(
        "div",
        null,
        part("Errors of the last hour", () => countErrors(signal), renderErrors, 4),
        part("Stock", () => findLowStock(signal), renderStock, 6),
        part("Services", () => askServices(signal), renderServices, 5),
      ),
    ),
  ];
}

async function countOrders(signal) {
  return Promise.all(
    OPEN.map(async ([status, words]) => {
      const { data, next } = await call("GET", "/orders", { query: { status, limit: PAGE }, signal });
      return { status, words, count: data.length, isMore: Boolean(next) };
    }),
  );
}

function renderOrders(counts) {
  return h(
    "ul",
    { class: "figures" },
    counts.map(({ status, words, count, isMore }) =>
      h(
        "li",
        null,
        h(
          "a",
          { href: linkTo("/admin/orders", { status }) },
          h("strong", null, isMore ? `${formatNumber(count)} or more` : formatNumber(count)),
          ` ${words}`,
        ),
      ),
    ),
  );
}

/** Return the oldest orders of a status. Orders are listed newest first, so of very many only the newest are known. */
async function findOldest(status, signal) {
  const orders = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const { data, next } = await call("GET", "/orders", { query: { status, limit: PAGE, cursor }, signal });
    orders.push(...data);
    cursor = next;
    if (!next) break;
  }
  return { orders: orders.reverse().slice(0, SHOWN), isWhole: !cursor };
}

function renderOldest({ orders, isWhole }) {
  if (!orders.length) return h("p", { class: "faint" }, "All that is paid was sent.");
  return [
    listOrders("Paid orders, oldest first", orders),
    !isWhole &&
      h(
        "p",
        { class: "faint small" },
        `Of the newest ${formatNumber(MOST_PAGES * PAGE)} paid orders; there are older ones.`,
      ),
  ];
}

async function findLate(signal) {
  const until = new Date(Date.now() - LATE * 60_000).toISOString();
  const pages = await Promise.all(
    UNFINISHED.map((status) => call("GET", "/orders", { query: { status, until, limit: PAGE }, signal })),
  );
  const orders = pages.flatMap((page) => page.data).sort((one, other) => (one.created_at < other.created_at ? -1 : 1));
  return { orders, isWhole: pages.every((page) => !page.next) };
}

function renderLate({ orders, isWhole }) {
  if (!orders.length) return h("p", { class: "faint" }, `No order has been unfinished for more than ${LATE} minutes.`);
  return [
    h(
      "p",
      null,
      h("strong", null, `${formatNumber(orders.length)}${isWhole ? "" : " or more"}`),
      ` unfinished for more than ${LATE} minutes. They go on by themselves once what they wait for answers.`,
    ),
    listOrders("Unfinished orders, oldest first", orders.slice(0, SHOWN)),
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

/** Return what is sold out, and what of the first products is nearly so; the catalogue does not sort by stock. */
async function findLowStock(signal) {
  const soldOut = (await call("GET", "/products", { query: { in_stock: false, limit: PAGE }, signal })) ?? { data: [] };
  const low = [];
  let looked = 0;
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await call("GET", "/products", { query: { in_stock: true, limit: PAGE, cursor }, signal });
    looked += answer?.data.length ?? 0;
    low.push(...(answer?.data ?? []).filter((product) => product.stock <= LOW_STOCK));
    cursor = answer?.next;
    if (!cursor) break;
  }
  low.sort((one, other) => one.stock - other.stock);
  return { soldOut: soldOut.data, isMoreOut: Boolean(soldOut.next), low, looked, isWhole: !cursor };
}

function renderStock({ soldOut, isMoreOut, low, looked, isWhole }) {
  const rows = [...soldOut, ...low].slice(0, SHOWN);
  const table = makeTable("Products of which few are left", [
    {
      title: "Product",
      kind: "main",
      cell: (product) => h("a", { href: linkTo(`/admin/products/${product.id}`) }, product.title),
    },
    { title: "Can be sold", kind: "number", cell: (product) => stockMark(product.stock) },
  ]);
  table.show(rows);
  return [
    h(
      "ul",
      { class: "figures" },
      h(
        "li",
        null,
        h(
          "a",
          { href: linkTo("/admin/products", { in_stock: "false" }) },
          h(
            "strong",
            { class: soldOut.length ? "bad" : null },
            `${formatNumber(soldOut.length)}${isMoreOut ? " or more" : ""}`,
          ),
          " sold out",
        ),
      ),
      h("li", null, h("strong", null, formatNumber(low.length)), ` with ${LOW_STOCK} or fewer`),
    ),
    rows.length > 0 && table.node,
    !isWhole &&
      h("p", { class: "faint small" }, `Few: of the first ${formatNumber(looked)} products that can be sold.`),
  ];
}

async function askServices(signal) {
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
    h("p", { class: "small" }, h("a", { href: linkTo("/admin/services") }, "More about the services")),
  ];
}
