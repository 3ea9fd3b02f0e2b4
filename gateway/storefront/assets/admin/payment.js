// One payment and its ledger entries.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { formatMoney, formatNumber } from "../lib/format.js";
import { linkTo, setTitle } from "../lib/router.js";
import { ENTRY_COLUMNS } from "./ledger.js";
import { badge, card, facts, idLink, moment, pageHead } from "./parts.js";
import { may } from "./roles.js";
import { makeTable } from "./table.js";
import { shortId } from "./labels.js";

const PAGE = 100;
const MAX_PAGES = 10;

export async function view({ params, signal }) {
  const { id } = params;
  setTitle(`Payment ${shortId(id)}`);
  const room = h("div");
  load(
    room,
    () => call("GET", `/payments/${encodeURIComponent(id)}`, { signal }),
    (payment) => render(payment, signal),
    {
      skeleton: skeleton("rows", 6),
      signal,
    },
  );
  return [pageHead(`Payment ${shortId(id)}`, { back: { path: "/admin/payments", text: "Payments" } }), room];
}

function render(payment, signal) {
  const money = (amount) => formatMoney(amount, payment.currency);
  return [
    card(
      "Details",
      facts([
        ["Status", badge(payment.status)],
        ["Payment ID", h("code", null, payment.id)],
        ["Order", idLink(`/admin/orders/${payment.order_id}`, payment.order_id)],
        ["Created", moment(payment.created_at)],
        ["Amount", money(payment.amount)],
        ["Captured", money(payment.amount_captured)],
        ["Refunded", money(payment.amount_refunded)],
        ["Net", h("strong", null, money(payment.amount_captured - payment.amount_refunded))],
        ["Method", h("code", null, payment.payment_method)],
        ["Provider", payment.provider],
        [
          "Logs",
          may("logs") ? h("a", { href: linkTo("/admin/logs", { order_id: payment.order_id }) }, "Trace the order") : null,
        ],
      ]),
    ),
    may("ledger") && ledgerCard(payment, signal),
  ];
}

function ledgerCard(payment, signal) {
  const entries = h("div");
  load(entries, () => findEntries(payment, signal), renderEntries, { skeleton: skeleton("rows", 2), signal });
  return card("Ledger entries", entries);
}

/**
 * Find the payment's entries. The ledger is newest first, so the search ends at entries older than the
 * payment.
 */
async function findEntries(payment, signal) {
  const found = [];
  let searched = 0;
  let cursor = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { data, next } = await call("GET", "/payments/ledger", { query: { limit: PAGE, cursor }, signal });
    searched += data.length;
    found.push(...data.filter((entry) => entry.payment_id === payment.id));
    const isPast = data.length > 0 && data.at(-1).time < payment.created_at;
    if (!next || isPast) return { found, searched, isWhole: true };
    cursor = next;
  }
  return { found, searched, isWhole: false };
}

function renderEntries({ found, searched, isWhole }) {
  const table = makeTable("Entries of this payment, newest first", ENTRY_COLUMNS);
  table.show(found);
  return [
    found.length ? table.node : h("p", { class: "faint" }, "No ledger entries."),
    !isWhole &&
      h(
        "p",
        { class: "faint" },
        `Only the newest ${formatNumber(searched)} ledger entries were searched. Older entries may be missing.`,
      ),
  ];
}
