// The cards of an order's page.
import { call } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { toSentence } from "../lib/labels.js";
import { describeAddress, describeEvent } from "../lib/order-labels.js";
import { listTotals } from "../lib/totals.js";
import { picture, recallLine } from "../shop/catalog.js";
import { fetchDetails } from "../shop/drawer.js";
import { badge, card, facts, idLink, moment } from "./parts.js";
import { may } from "./roles.js";
import { makeTable } from "./table.js";
import { isId } from "./labels.js";

/** Return the items and the total of an order; `requested` is that of fetchDetails. */
export function itemsCard(order, requested, signal) {
  const money = (amount) => formatMoney(amount, order.currency);
  const pictures = order.items.map(() => h("div"));
  const table = makeTable("Items of the order", [
    {
      title: "Item",
      kind: "main",
      cell: (item) =>
        h(
          "div",
          { class: "product-cell" },
          pictures[order.items.indexOf(item)],
          h(
            "div",
            null,
            h(
              may("products") ? "a" : "span",
              { class: "value", href: may("products") && linkTo(`/admin/products/${item.product_id}`) },
              item.title ?? `Product ${item.product_id}`,
            ),
            item.sku && h("small", { class: "faint" }, item.sku),
          ),
        ),
    },
    { title: "Quantity", kind: "number", cell: (item) => item.quantity },
    { title: "Price", kind: "number", cell: (item) => money(item.unit_amount) },
    { title: "Amount", kind: "number", cell: (item) => money(item.amount) },
  ]);
  function showPictures() {
    pictures.forEach((room, place) => replace(room, picture(recallLine(order.items[place]), { size: 44 })));
  }
  table.show(order.items);
  showPictures();
  fetchDetails(order.items, requested, signal).then((found) => found && showPictures());
  return card(
    "Items",
    table.node,
    h(
      "div",
      { class: "totals" },
      facts([
        ...listTotals(order).map(({ label, value, isTotal }) => [label, isTotal ? h("strong", null, value) : value]),
        ["Refunded", order.amount_refunded ? money(order.amount_refunded) : null],
      ]),
    ),
  );
}

/** Return the customer, the times and the ids of an order. */
export function detailsCard(order, events) {
  const customer = events.find((event) => event.kind === "placed")?.actor;
  return card(
    "Details",
    facts([
      ["Order ID", h("code", null, order.id)],
      ["Placed", moment(order.created_at)],
      ["Updated", moment(order.updated_at)],
      ["Customer", customer && isId(customer) ? idLink(`/admin/users/${customer}`, customer) : customer],
      ["Email", order.email],
      ["Cancellation reason", order.reason && toSentence(order.reason)],
    ]),
  );
}

/** Return an address of an order. */
export function addressCard(title, address) {
  const lines = describeAddress(address);
  return card(
    title,
    h(
      "address",
      null,
      lines.map((line) => h("div", null, line)),
    ),
  );
}

/** Return the payment of an order, fetched from payments-service. */
export function paymentCard(order, signal) {
  const room = h("div");
  if (order.payment) {
    const { id } = order.payment;
    const money = (payment, amount) => formatMoney(amount, payment.currency);
    load(
      room,
      () => call("GET", `/payments/${id}`, { signal }),
      (payment) =>
        facts([
          ["Payment", idLink(`/admin/payments/${id}`, id)],
          ["Status", badge(payment.status)],
          ["Captured", money(payment, payment.amount_captured)],
          ["Refunded", payment.amount_refunded ? money(payment, payment.amount_refunded) : null],
          ["Provider", payment.provider],
        ]),
      { skeleton: skeleton("lines", 2), signal },
    );
  }
  return card("Payment", order.payment ? room : h("p", { class: "faint" }, "No payment yet."));
}

/** Return the events of an order, oldest first. */
export function timelineCard(events) {
  return card(
    "Timeline",
    h(
      "ol",
      { class: "timeline" },
      events.map((event) =>
        h(
          "li",
          null,
          h("div", null, describeEvent(event), event.from !== event.to && event.to ? [" ", badge(event.to)] : null),
          h(
            "div",
            { class: "faint small" },
            moment(event.time),
            " by ",
            isId(event.actor) ? idLink(`/admin/users/${event.actor}`, event.actor) : event.actor,
            event.detail && ` · ${describeDetail(event)}`,
          ),
        ),
      ),
    ),
  );
}

/** Return an event's detail, which is a reason, or an amount in minor units with its currency. */
function describeDetail({ detail }) {
  const amount = /^(\d+) ([A-Z]{3})$/.exec(detail);
  return amount ? formatMoney(Number(amount[1]), amount[2]) : toSentence(detail);
}
