// One order, and its story as it goes on.
import { call, Problem, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce, askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { formatTime } from "../lib/format.js";
import { linkTo, setQuery, setTitle } from "../lib/router.js";
import { describeAddress, describeStatus, statusBadge } from "../lib/words.js";
import { askBank } from "./bank.js";
import { cart } from "./cart.js";
import { fetchDetails } from "./drawer.js";
import { paymentsAnswer } from "./health.js";
import { explain, progress, section, showEvent, showItem, showSums } from "./order-parts.js";

export const title = "Your order";

const FINAL = ["delivered", "refunded", "cancelled"];
// What moves within seconds is looked at often, what waits for a parcel is not.
const BUSY = ["pending", "awaiting_payment", "confirmed"];
const CANCELLABLE = ["pending", "awaiting_payment", "confirmed", "paid"];
// What whoever has just placed an order is told.
const GREETINGS = {
  pending: "Your order is with us",
  awaiting_payment: "One thing is left to do",
  confirmed: "Thank you for your order",
  paid: "Thank you for your order",
};
const FIRST_PAUSE = 800;
const BUSY_PAUSE = 4000;
const LONG_PAUSE = 30_000;
// An order that takes longer than this waits for somebody.
const SLOW = 6000;

export async function view({ params, query, signal }) {
  const page = h("div");
  const isNew = query.has("placed");
  load(
    page,
    () => fetchStory(params.id, signal),
    (story) => showOrder(story, isNew, signal),
    {
      skeleton: [h("h1", { class: "visually-hidden" }, title), skeleton("product", 5)],
      signal,
    },
  );
  return page;
}

async function fetchStory(id, signal) {
  const path = `/orders/${encodeURIComponent(id)}`;
  const [order, events] = await Promise.all([
    call("GET", path, { signal }),
    call("GET", `${path}/events`, { signal }),
  ]);
  return { order, events: events.data };
}

function showOrder(story, isNew, signal) {
  let { order, events } = story;
  const begun = Date.now();
  const placed = formatTime(order.created_at);
  const heading = h("h1", { tabindex: "-1" });
  const state = h("div", { class: "stack" });
  const actions = h("div", { class: "row" });
  const timeline = h("ol", { class: "timeline" });
  const freshness = h("p", { class: "small faint", role: "status" });
  const items = h("ul", { class: "cart-lines" });
  const sums = h("dl", { class: "sums" });
  const asked = new Set();
  let bank = null;
  setTitle(`Order of ${placed}`);

  function show() {
    heading.textContent = (isNew && GREETINGS[order.status]) || `Order of ${placed}`;
    replace(
      state,
      h(
        "p",
        { class: "row" },
        statusBadge(order.status),
        h("span", { class: "faint small" }, `Number ${order.id}`),
      ),
      progress(order),
      explain(order),
    );
    replace(actions, actionsOf());
    replace(timeline, events.map(showEvent));
    replace(
      items,
      order.items.map((item) => showItem(item, order.currency)),
    );
    replace(sums, showSums(order));
    fetchDetails(order.items, asked, signal).then(
      (found) =>
        found &&
        replace(
          items,
          order.items.map((item) => showItem(item, order.currency)),
        ),
    );
  }

  function actionsOf() {
    return [
      order.status === "awaiting_payment" &&
        h(
          "button",
          { class: "button button-primary", type: "button", onclick: openBank },
          icon("bank"),
          "Go to the bank",
        ),
      order.status === "cancelled" &&
        cart.count > 0 &&
        h("a", { class: "button button-primary", href: linkTo("/checkout") }, "Back to the checkout"),
      CANCELLABLE.includes(order.status) &&
        h("button", { class: "button button-danger", type: "button", onclick: cancel }, "Cancel the order"),
    ];
  }

  async function openBank() {
    try {
      bank = await askBank(order.payment.id, () => refresh().catch(() => {}), signal);
    } catch (problem) {
      if (problem instanceof Problem) toast(problem.message, { kind: "bad" });
    }
  }

  async function cancel() {
    const isSure = await askToConfirm({
      title: "Cancel this order?",
      text: "What you have paid goes back to your card, and the goods go back to the shelf.",
      action: "Cancel the order",
      danger: true,
    });
    if (!isSure) return;
    try {
      await call("POST", `/orders/${order.id}/cancel`, { signal });
      await refresh();
      toast(order.status === "cancelled" ? "The order was cancelled." : "The order is being cancelled.", {
        kind: "good",
      });
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      toast(problem.message, { kind: "bad" });
    }
  }

  /** Look again; resolves to whether anything is new. */
  async function refresh() {
    const fresh = await fetchStory(order.id, signal);
    const before = order;
    if (fresh.order.updated_at === order.updated_at && fresh.events.length === events.length) return false;
    ({ order, events } = fresh);
    const hadFocus = actions.contains(document.activeElement);
    show();
    if (order.status !== before.status) {
      announce(`The order is now: ${describeStatus(order.status)}.`);
      if (before.status === "awaiting_payment") bank?.close();
      if (hadFocus) heading.focus();
      // What was bought leaves the cart.
      if (BUSY.includes(before.status)) cart.refresh().catch(() => {});
    }
    return true;
  }

  async function follow() {
    let pause = FIRST_PAUSE;
    while (!FINAL.includes(order.status)) {
      await wait(pause, signal);
      await untilSeen(signal);
      const longest = BUSY.includes(order.status) ? BUSY_PAUSE : LONG_PAUSE;
      try {
        pause = (await refresh()) ? FIRST_PAUSE : Math.min(pause * 1.5, longest);
        freshness.textContent = await describeWaiting();
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        freshness.textContent =
          "This may not be the newest; the shop does not answer just now. Looking again …";
        pause = Math.min(pause * 2, LONG_PAUSE);
      }
    }
    freshness.textContent = "";
  }

  async function describeWaiting() {
    if (order.status !== "pending" || Date.now() - begun < SLOW) return "";
    return (await paymentsAnswer(signal))
      ? "This takes longer than usual. It finishes by itself; you may leave this page."
      : "The payment service does not answer just now. The order is finished as soon as it does, or given up within " +
          "two minutes with nothing charged. Your cart is kept until then.";
  }

  show();
  if (isNew) {
    // Coming back to the page, or sharing its address, is no new order.
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
      h("p", { class: "small" }, h("a", { href: linkTo("/orders") }, "Your orders")),
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
        section("What you ordered", items, sums),
        section(
          "Where it goes",
          h(
            "address",
            null,
            describeAddress(order.shipping_address).map((line) => h("div", null, line)),
          ),
          order.email && h("p", { class: "small faint" }, order.email),
        ),
      ),
      section("What happened", timeline),
    ),
  );
}

function untilSeen(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve, reject) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
