// The ledger: every movement of money as a double entry, newest first.
import { h, replace } from "../lib/dom.js";
import { formatMoney, formatNumber } from "../lib/format.js";
import { makeList } from "./list.js";
import { card, facts, idLink, moment, pageHead } from "./parts.js";

export const ENTRY_COLUMNS = [
  { title: "Movement", kind: "main", cell: (entry) => describeMovement(entry.movement) },
  { title: "Booked", cell: (entry) => moment(entry.time) },
  { title: "Debit", cell: (entry) => sideOf(entry, (line) => line.amount > 0) },
  { title: "Credit", cell: (entry) => sideOf(entry, (line) => line.amount < 0) },
  { title: "Sum", kind: "number", cell: (entry) => formatMoney(sum(entry.lines), entry.currency) },
];
const COLUMNS = ENTRY_COLUMNS.toSpliced(2, 0, {
  title: "Payment",
  cell: (entry) => idLink(`/admin/payments/${entry.payment_id}`, entry.payment_id),
});

export async function view({ signal }) {
  const sums = h("div");
  const list = makeList({
    path: "/payments/ledger",
    caption: "Entries of the ledger, newest first",
    columns: COLUMNS,
    nouns: ["entry", "entries"],
    empty: ["Nothing is booked yet", "An entry is made whenever money is taken or given back."],
    onPage: (entries) => replace(sums, balances(entries)),
    signal,
  });
  list.show({});
  return [
    pageHead("Ledger", { back: { path: "/admin/payments", text: "Payments" } }),
    card(
      "Sums of the entries below",
      sums,
      h(
        "p",
        { class: "faint small" },
        "A debit is positive and a credit negative. The lines of each entry sum to zero; the database sees to it. Of entries ",
        "that are not shown yet nothing is counted here.",
      ),
    ),
    list.node,
  ];
}

/** Return a ledger's movement in words. */
function describeMovement(movement) {
  const [kind] = movement.split(":");
  return { capture: "Money was taken", refund: "Refund", cancel: "Given back by a cancel" }[kind] ?? movement;
}

function sideOf(entry, isOnSide) {
  return entry.lines
    .filter(isOnSide)
    .map((line) => h("div", null, `${line.account} ${formatMoney(Math.abs(line.amount), entry.currency)}`));
}

function sum(lines) {
  return lines.reduce((total, line) => total + line.amount, 0);
}

function balances(entries) {
  const accounts = new Map();
  for (const { currency, lines } of entries) {
    for (const { account, amount } of lines) {
      const name = `${account} (${currency})`;
      const known = accounts.get(name) ?? { currency, amount: 0 };
      accounts.set(name, { currency, amount: known.amount + amount });
    }
  }
  const total = sum(entries.flatMap((entry) => entry.lines));
  return facts([
    ...[...accounts].map(([name, { amount, currency }]) => [name, formatMoney(amount, currency)]),
    ["All lines", total === 0 ? "sum to zero" : `are ${formatNumber(total)} off`],
  ]);
}
