// All orders, newest first.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { Problem } from "../lib/http.js";
import { linkTo } from "../lib/router.js";
import { filterBar } from "./filter-bar.js";
import { makeList } from "./list.js";
import { badge, idLink, moment, pageHead } from "./parts.js";
import { describeStatus, isId, ORDER_STATUSES } from "./labels.js";

const FILTERS = [
  {
    name: "q",
    label: "Search",
    type: "search",
    maxlength: 200,
    autocomplete: "off",
    placeholder: "Number, email or name",
  },
  {
    name: "status",
    label: "Status",
    type: "select",
    options: [["", "Any"], ...ORDER_STATUSES.map((status) => [status, describeStatus(status)[0]])],
  },
  { name: "user", label: "User", type: "search", placeholder: "Username or ID", autocomplete: "off" },
  { name: "since", label: "From", type: "datetime-local" },
  { name: "until", label: "To", type: "datetime-local" },
];
const COLUMNS = [
  { title: "Order", kind: "main", cell: orderLink },
  { title: "Placed", cell: (order) => moment(order.created_at) },
  { title: "Recipient", cell: (order) => h("span", { class: "value" }, order.shipping_address.name) },
  { title: "Items", cell: (order) => h("span", { class: "value" }, describeItems(order)) },
  { title: "Amount", kind: "number", cell: (order) => formatMoney(order.amount, order.currency) },
  { title: "Status", cell: (order) => [badge(order.status), describeRefund(order)] },
];

export async function view({ query, signal }) {
  const list = makeList({
    path: "/orders",
    caption: "Orders, newest first",
    columns: COLUMNS,
    noun: "order",
    empty: ["No orders match these filters", "Change or clear the filters to see more orders."],
    adapt: findUser,
    signal,
  });
  const filters = filterBar(FILTERS, query, list.show);
  list.show(filters.values);
  return [pageHead("Orders"), filters.node, list.node];
}

/** Replace a username in the filters by the user's id; throw a Problem for an unknown user. */
async function findUser(filters, signal) {
  const { user } = filters;
  if (!user || isId(user)) return filters;
  const found = await call("GET", "/auth/users", { query: { q: user, limit: 100 }, signal });
  const match = found.data.find((each) => each.username.toLowerCase() === user.toLowerCase());
  if (!match) throw new Problem(404, { code: "not_found", detail: `There is no user named ${user}.` });
  return { ...filters, user: match.id };
}

function orderLink({ id, number }) {
  const path = `/admin/orders/${id}`;
  return number ? h("a", { class: "number", href: linkTo(path), title: id }, String(number)) : idLink(path, id);
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
