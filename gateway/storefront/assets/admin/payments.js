// All payments, newest first.
import { h } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { makeList } from "./list.js";
import { badge, idLink, moment, pageHead } from "./parts.js";
import { may } from "./roles.js";

const COLUMNS = [
  { title: "Payment", kind: "main", cell: (payment) => idLink(`/admin/payments/${payment.id}`, payment.id) },
  { title: "Created", cell: (payment) => moment(payment.created_at) },
  { title: "Order", cell: (payment) => idLink(`/admin/orders/${payment.order_id}`, payment.order_id) },
  { title: "Method", cell: (payment) => h("code", null, payment.payment_method) },
  { title: "Amount", kind: "number", cell: (payment) => formatMoney(payment.amount, payment.currency) },
  {
    title: "Refunded",
    kind: "number",
    cell: (payment) => (payment.amount_refunded ? formatMoney(payment.amount_refunded, payment.currency) : "–"),
  },
  { title: "Status", cell: (payment) => badge(payment.status) },
];

export async function view({ signal }) {
  const list = makeList({
    path: "/payments",
    caption: "Payments, newest first",
    columns: COLUMNS,
    noun: "payment",
    empty: ["No payments yet", "Each order creates a payment once its stock is reserved."],
    signal,
  });
  list.show({});
  const ledger = may("ledger") && h("a", { class: "button", href: linkTo("/admin/payments/ledger") }, "Ledger");
  return [pageHead("Payments", { actions: ledger }), list.node];
}
