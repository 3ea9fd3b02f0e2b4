// One order. The page follows it until it reaches a final status.
import { call, Problem, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce, askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { formatTime } from "../lib/format.js";
import { linkTo, setQuery, setTitle } from "../lib/router.js";
import { session } from "../lib/session.js";
import { toSentence } from "../lib/labels.js";
import { describeAddress, statusBadge } from "../lib/order-labels.js";
import { authenticatePayment } from "./bank.js";
import { cart } from "./cart.js";
import { fetchDetails } from "./drawer.js";
import { isPaymentsUp } from "./health.js";
import { explain, progress, section, showEvent, showItem, showSums } from "./order-parts.js";

export const title = "Your order";

const FINAL = ["delivered", "refunded", "cancelled"];
// Statuses that change within seconds, so the page polls more often.
const BUSY = ["pending", "awaiting_payment", "confirmed"];
const CANCELLABLE = ["pending", "awaiting_payment", "confirmed", "paid"];
// The heading after the customer has placed the order.
const GREETINGS = {
  pending: "We received your order",
  awaiting_payment: "Confirm your payment",
  confirmed: "Thank you for your order",
  paid: "Thank you for your order",
};
// Milliseconds between two polls, and until a pending order is considered slow.
const FIRST_PAUSE = 800;
const BUSY_PAUSE = 4000;
const LONG_PAUSE = 30_000;
const SLOW_AFTER = 6000;

export async function view({ params, query, signal }) {
  const page = h("div");
  const isNew = query.has("placed");
  load(
    page,
    () => findOrder(params.id, signal),
    (fetched) => (fetched ? showOrder(fetched, isNew, signal) : showUnknown(params.id)),
    {
      skeleton: [h("h1", { class: "visually-hidden" }, title), skeleton("product", 5)],
      signal,
    },
  );
  return page;
}

/** Fetch an order; resolve to null if this visitor may not see it. */
async function findOrder(id, signal) {
  try {
    return await fetchOrder(id, signal);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    return null;
  }
}

/** Return what to do for a customer who follows the link of a mail in another browser, or signed out. */
function showUnknown(id) {
  const { user } = session;
  const hint = user
    ? `It does not belong to the account ${user.username}. Sign in to the account that you ordered with.`
    : "Sign in to the account that you ordered with.";
  return h(
    "div",
    { class: "panel" },
    h("h1", null, "This order is not shown here"),
    h("p", null, hint),
    h(
      "p",
      null,
      "If you ordered without an account, ",
      h("a", { href: linkTo("/find-order") }, "get a link to your order"),
      " by email.",
    ),
    user
      ? h("a", { class: "button button-primary", href: linkTo("/account") }, "Go to your account")
      : h("a", { class: "button button-primary", href: linkTo("/login", { next: `/orders/${id}` }) }, "Sign in"),
  );
}

async function fetchOrder(id, signal) {
  const path = `/orders/${encodeURIComponent(id)}`;
  const [order, events] = await Promise.all([
    call("GET", path, { signal }),
    call("GET", `${path}/events`, { signal }),
  ]);
  return { order, events: events.data };
}

function showOrder(fetched, isNew, signal) {
  let { order, events } = fetched;
  const startedAt = Date.now();
  const placed = formatTime(order.created_at);
  const heading = h("h1", { tabindex: "-1" });
  const state = h("div", { class: "stack" });
  const actions = h("div", { class: "row" });
  const timeline = h("ol", { class: "timeline" });
  const freshness = h("p", { class: "small faint", role: "status" });
  const items = h("ul", { class: "cart-lines" });
  const sums = h("dl", { class: "sums" });
  const requested = new Set();
  let bank = null;
  setTitle(`Order placed ${placed}`);

  function show() {
    heading.textContent = (isNew && GREETINGS[order.status]) || `Order placed ${placed}`;
    replace(
      state,
      h(
        "p",
        { class: "row" },
        statusBadge(order.status),
        h(
          "span",
          { class: "faint small", title: order.id },
          order.number ? `Order number ${order.number}` : `Order ID ${order.id}`,
        ),
      ),
      progress(order),
      explain(order),
    );
    replace(actions, actionsOf());
    replace(timeline, events.map(showEvent));
    showItems();
    replace(sums, showSums(order));
    fetchDetails(order.items, requested, signal).then((found) => found && showItems());
  }

  function showItems() {
    replace(
      items,
      order.items.map((item) => showItem(item, order.currency)),
    );
  }

  function actionsOf() {
    return [
      order.status === "awaiting_payment" &&
        h(
          "button",
          { class: "button button-primary", type: "button", onclick: openBank },
          icon("bank"),
          "Confirm with your bank",
        ),
      order.status === "cancelled" &&
        cart.count > 0 &&
        h("a", { class: "button button-primary", href: linkTo("/checkout") }, "Return to checkout"),
      CANCELLABLE.includes(order.status) &&
        h("button", { class: "button button-danger", type: "button", onclick: cancel }, "Cancel order"),
    ];
  }

  async function openBank() {
    try {
      bank = await authenticatePayment(order.payment.id, () => refresh().catch(() => {}), signal);
    } catch (problem) {
      if (problem instanceof Problem) toast(problem.message, { kind: "bad" });
    }
  }

  async function cancel() {
    const isSure = await askToConfirm({
      title: "Cancel this order?",
      text: "You get a full refund to your card, and the items return to stock.",
      action: "Cancel order",
      danger: true,
    });
    if (!isSure) return;
    try {
      await call("POST", `/orders/${order.id}/cancel`, { signal });
      await refresh();
      toast(order.status === "cancelled" ? "Order cancelled." : "Your order is being cancelled.", {
        kind: "good",
      });
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      toast(problem.message, { kind: "bad" });
    }
  }

  /** Fetch the order again; resolve to whether it has changed. */
  async function refresh() {
    const fresh = await fetchOrder(order.id, signal);
    const before = order;
    if (fresh.order.updated_at === order.updated_at && fresh.events.length === events.length) return false;
    ({ order, events } = fresh);
    const hadFocus = actions.contains(document.activeElement);
    show();
    if (order.status !== before.status) {
      announce(`Order status: ${toSentence(order.status)}.`);
      if (before.status === "awaiting_payment") bank?.close();
      if (hadFocus) heading.focus();
      // The server removes ordered items from the cart.
      if (BUSY.includes(before.status)) cart.refresh().catch(() => {});
    }
    return true;
  }

  async function follow() {
    let pause = FIRST_PAUSE;
    while (!FINAL.includes(order.status)) {
      await wait(pause, signal);
      await untilVisible(signal);
      const longest = BUSY.includes(order.status) ? BUSY_PAUSE : LONG_PAUSE;
      try {
        pause = (await refresh()) ? FIRST_PAUSE : Math.min(pause * 1.5, longest);
        freshness.textContent = await describeWaiting();
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        freshness.textContent = "Could not update this page. Retrying…";
        pause = Math.min(pause * 2, LONG_PAUSE);
      }
    }
    freshness.textContent = "";
  }

  async function describeWaiting() {
    if (order.status !== "pending" || Date.now() - startedAt < SLOW_AFTER) return "";
    return (await isPaymentsUp(signal))
      ? "This is taking longer than usual. We will complete your order even if you leave this page."
      : "Payments are temporarily unavailable. We will complete your order as soon as they are back, or cancel it " +
          "within two minutes without charging you. Your cart is kept until then.";
  }

  show();
  if (isNew) {
    // The greeting is not shown again on a reload or for a shared link.
    setQuery({});
    if (order.status === "awaiting_payment") openBank();
  }
  follow().catch((error) => {
    if (error.name !== "AbortError") throw error;
  });

  return h(
    "div",
    { class: "stack-wide" },
    h(
      "header",
      { class: "stack order-head" },
      h("p", { class: "small" }, h("a", { href: linkTo("/orders") }, "Order history")),
      heading,
      state,
      freshness,
      actions,
    ),
    h(
      "div",
      { class: "order" },
      h(
        "div",
        { class: "stack" },
        section("Items", items, sums),
        section(
          "Shipping address",
          h(
            "address",
            null,
            describeAddress(order.shipping_address).map((line) => h("div", null, line)),
          ),
          order.email && h("p", { class: "small faint" }, order.email),
        ),
        order.billing_address &&
          section(
            "Billing address",
            h(
              "address",
              null,
              describeAddress(order.billing_address).map((line) => h("div", null, line)),
            ),
          ),
        order.note && section("Your note", h("p", { class: "written" }, order.note)),
      ),
      section("Timeline", timeline),
    ),
  );
}

function untilVisible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve, reject) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
