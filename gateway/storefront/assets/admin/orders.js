// All orders, newest first.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { Problem } from "../lib/http.js";
import { filterBar } from "./filters.js";
import { makeList } from "./list.js";
import { badge, idLink, moment, pageHead } from "./parts.js";
import { describeStatus, isId, ORDER_STATUSES } from "./words.js";

const FILTERS = [
  {
    name: "status",
    label: "Status",
    type: "select",
    options: [["", "Any"], ...ORDER_STATUSES.map((status) => [status, describeStatus(status)[0]])],
  },
  { name: "user", label: "User", type: "search", placeholder: "name or id", autocomplete: "off" },
  { name: "since", label: "From", type: "datetime-local" },
  { name: "until", label: "Before", type: "datetime-local" },
];
const COLUMNS = [
  { title: "Order", kind: "main", cell: (order) => idLink(`/admin/orders/${order.id}`, order.id) },
  { title: "Placed", cell: (order) => moment(order.created_at) },
  { title: "For", cell: (order) => h("span", { class: "value" }, order.shipping_address.name) },
  { title: "Items", cell: (order) => h("span", { class: "value" }, describeItems(order)) },
  { title: "Amount", kind: "number", cell: (order) => formatMoney(order.amount, order.currency) },
  { title: "Status", cell: (order) => [badge(order.status), describeRefund(order)] },
];

export async function view({ query, signal }) {
  const list = makeList({
    path: "/orders",
    caption: "Orders, newest first",
    columns: COLUMNS,
    nouns: ["order", "orders"],
    empty: ["No order fits", "Nobody has ordered yet, or the filters leave nothing over."],
    adapt: findUser,
    signal,
  });
  const filters = filterBar(FILTERS, query, list.show);
  list.show(filters.values);
  return [pageHead("Orders"), filters.node, list.node];
}

/** Return the filters with the user's id in place of the name; throw a Problem if nobody has that name. */
async function findUser(filters, signal) {
  const { user } = filters;
  if (!user || isId(user)) return filters;
  const found = await call("GET", "/auth/users", { query: { q: user, limit: 100 }, signal });
  const one = found.data.find((each) => each.username.toLowerCase() === user.toLowerCase());
  if (!one) throw new Problem(404, { code: "not_found", detail: `There is no user named ${user}.` });
  return { ...filters, user: one.id };
}

function describeItems({ items }) {
  const [first, ...others] = items;
  const more = others.length ? ` and ${others.length} more` : "";
  return `${first.quantity} × ${first.title ?? `product ${first.product_id}`}${more}`;
}

function describeRefund(order) {
  const isPart = order.amount_refunded > 0 && order.amount_refunded < order.amount;
  return isPart && h("small", { class: "faint" }, ` ${formatMoney(order.amount_refunded, order.currency)} refunded`);
}
