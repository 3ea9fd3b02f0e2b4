// The ledger: all entries of the double-entry bookkeeping, newest first.
import { h } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { toSentence } from "../lib/labels.js";
import { makeList } from "./list.js";
import { idLink, moment, pageHead } from "./parts.js";

// A movement is `capture`, `cancel` or `refund:ID`.
export const ENTRY_COLUMNS = [
  { title: "Type", kind: "main", cell: (entry) => toSentence(entry.movement.split(":")[0]) },
  { title: "Posted", cell: (entry) => moment(entry.time) },
  { title: "Debit", cell: (entry) => sideOf(entry, (line) => line.amount > 0) },
  { title: "Credit", cell: (entry) => sideOf(entry, (line) => line.amount < 0) },
];
const COLUMNS = ENTRY_COLUMNS.toSpliced(2, 0, {
  title: "Payment",
  cell: (entry) => idLink(`/admin/payments/${entry.payment_id}`, entry.payment_id),
});

export async function view({ signal }) {
  const list = makeList({
    path: "/payments/ledger",
    caption: "Ledger entries, newest first",
    columns: COLUMNS,
    noun: "entry",
    nouns: "entries",
    empty: ["No entries yet", "Each capture and each refund posts an entry."],
    signal,
  });
  list.show({});
  return [pageHead("Ledger", { back: { path: "/admin/payments", text: "Payments" } }), list.node];
}

function sideOf(entry, isOnSide) {
  return entry.lines
    .filter(isOnSide)
    .map((line) => h("div", null, `${line.account} ${formatMoney(Math.abs(line.amount), entry.currency)}`));
}
