// The cart drawer, and what the checkout shares with it.
import { h, icon, replace } from "../lib/dom.js";
import { announce, emptyPanel, openDialog, problemPanel, skeleton, toast } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { countOf } from "../lib/labels.js";
import { cart } from "./cart.js";
import { fetchProduct, linkToLine, picture, recallLine } from "./catalog.js";
import { stepper } from "./stepper.js";

/** Open the cart drawer. */
export function openCart() {
  const body = h("div", { class: "drawer-body" });
  const foot = h("div", { class: "drawer-foot" });
  const dialog = openDialog({ title: "Your cart", content: [body, foot], kind: "drawer" });
  const leaving = new AbortController();
  const requested = new Set();
  let shown = null;

  function show() {
    if (!cart.content) return;
    const { items } = cart.content;
    // An answer may arrive while the customer is already at a button of the drawer.
    const focused = dialog.contains(document.activeElement) ? document.activeElement : null;
    const lines = items.map(({ variant_id: id }) => id).join();
    // The lines are rendered again only if products were added or removed, so that a quantity field keeps the
    // focus.
    if (lines !== shown) {
      shown = lines;
      replace(body, items.length ? h("ul", { class: "cart-lines" }, items.map(cartLine)) : emptyCart(dialog));
    } else {
      for (const item of items) updateLine(item);
    }
    fetchDetails(items, requested, leaving.signal).then((found) => found && rerender());
    replace(foot, items.length ? total(dialog) : null);
    if (focused && !focused.isConnected) {
      (document.getElementById(focused.id) ?? dialog.querySelector("h2")).focus();
    }
  }

  function rerender() {
    shown = null;
    show();
  }

  async function refresh() {
    if (!cart.content) replace(body, skeleton("rows", 3));
    try {
      await cart.refresh();
    } catch (problem) {
      if (!cart.content) replace(body, problemPanel(problem, refresh));
    }
  }

  cart.addEventListener("change", show, { signal: leaving.signal });
  dialog.addEventListener("close", () => leaving.abort());
  show();
  refresh();
}

function emptyCart(dialog) {
  return emptyPanel(
    "Your cart is empty",
    "Items you add are saved for your next visit.",
    h(
      "button",
      { class: "button button-primary", type: "button", onclick: () => dialog.close() },
      "Continue shopping",
    ),
  );
}

function cartLine(item) {
  const id = item.variant_id;
  const title = nameOf(item);
  return h(
    "li",
    { class: "cart-line" },
    h("div", { class: "cart-picture" }, picture(recallLine(item), { size: 72 })),
    h(
      "div",
      { class: "stack-tight" },
      h("a", { class: "cart-title", href: linkToLine(item) }, title),
      h("p", { class: "small faint", id: `cart-unit-${id}` }, describeUnit(item)),
      h("div", { id: `cart-problem-${id}` }, problemOf(item)),
      h(
        "div",
        { class: "row" },
        stepper({
          label: title,
          id: `cart-quantity-${id}`,
          value: item.quantity,
          onchange: (quantity) => cart.setQuantity(id, quantity),
        }).element,
        h(
          "button",
          {
            class: "button-icon",
            type: "button",
            id: `cart-remove-${id}`,
            "aria-label": `Remove ${title}`,
            onclick: () => removeItem(findItem(id)),
          },
          icon("trash"),
        ),
      ),
    ),
    h("p", { class: "number", id: `cart-amount-${id}` }, formatMoney(item.amount, cart.content.currency)),
  );
}

function updateLine(item) {
  const id = item.variant_id;
  const quantity = document.getElementById(`cart-quantity-${id}`);
  if (document.activeElement !== quantity) quantity.value = String(item.quantity);
  document.getElementById(`cart-amount-${id}`).textContent = formatMoney(item.amount, cart.content.currency);
  document.getElementById(`cart-unit-${id}`).textContent = describeUnit(item);
  replace(document.getElementById(`cart-problem-${id}`), problemOf(item));
}

// A rendered line reads the current item, because its quantity changes.
function findItem(id) {
  return cart.content.items.find(({ variant_id: each }) => each === id);
}

/** Remove an item and show a toast with "Undo". Resolve to whether it worked. */
export async function removeItem(item) {
  const { variant_id: id, quantity } = item;
  const title = nameOf(item);
  try {
    await cart.remove(id);
    announce(`Removed ${title} from your cart.`);
    toast(`Removed ${title} from your cart.`, {
      action: {
        label: "Undo",
        run: () => cart.add(id, quantity).catch((problem) => toast(problem.message, { kind: "bad" })),
      },
    });
    return true;
  } catch (problem) {
    toast(`Could not remove ${title}. ${problem.message}`, { kind: "bad" });
    return false;
  }
}

function total(dialog) {
  const { amount, currency, items } = cart.content;
  const units = countOf(cart.count, "item", "items");
  return [
    amount === null &&
      items.some(({ unit_amount: unit }) => unit === null) &&
      h("p", { class: "note note-warn" }, icon("info"), PRICES_UNAVAILABLE),
    h(
      "p",
      { class: "row row-apart total" },
      h("span", null, `Total (${units})`),
      h("strong", { class: "number" }, formatMoney(amount, currency)),
    ),
    h(
      "a",
      {
        class: "button button-primary button-wide",
        id: "cart-check-out",
        href: linkTo("/checkout"),
        onclick: () => dialog.close(),
      },
      "Check out",
      icon("arrow"),
    ),
  ];
}

export const PRICES_UNAVAILABLE = "Prices are temporarily unavailable. Your cart is saved.";

/** Return an item's title, also while the catalogue is unavailable. */
export function nameOf(item) {
  return item.title ?? recallLine(item)?.title ?? `Product ${item.variant_id}`;
}

function describeUnit({ unit_amount: unit, quantity }) {
  if (unit === null) return "Price unavailable";
  return quantity > 1 ? `${formatMoney(unit, cart.content.currency)} each` : "";
}

/** Return the warning for an item with its remedy; null if it has no problem. */
export function problemOf(item) {
  const id = item.variant_id;
  const left = recallLine(item)?.stock;
  if (item.problem === "unavailable") return warn("No longer available. Remove it to continue.");
  if (item.problem === "price_changed") {
    const [before, now] = [item.previous_unit_amount, item.unit_amount].map((amount) =>
      formatMoney(amount, cart.content.currency),
    );
    return warn(`The price changed from ${before} to ${now}.`, "Accept new price", () =>
      cart.setQuantity(id, item.quantity),
    );
  }
  if (item.problem === "insufficient_stock") {
    if (left === 0) return warn("Sold out. Remove it to continue.");
    if (left === undefined || left >= item.quantity) return warn("Not enough in stock. Reduce the quantity.");
    return warn(`Only ${left} left.`, `Set quantity to ${left}`, () => cart.setQuantity(id, left));
  }
  return null;
}

function warn(text, action, run) {
  return h(
    "p",
    { class: "cart-problem small" },
    icon("alert"),
    h(
      "span",
      null,
      text,
      " ",
      action && h("button", { class: "button-link", type: "button", onclick: run }, action),
    ),
  );
}

/**
 * Fetch the products of lines that are not cached or whose stock is out of date. `requested` is a set that
 * prevents repeated requests. Resolve to whether any product was fetched.
 */
export async function fetchDetails(items, requested, signal) {
  const keyOf = ({ variant_id: id, problem }) => `${id} ${problem}`;
  const wanted = items
    .filter((item) => item.product_id && item.problem !== "unavailable")
    .filter((item) => !recallLine(item) || isStale(item))
    .filter((item) => !requested.has(keyOf(item)));
  for (const item of wanted) requested.add(keyOf(item));
  // Several variants may be of one product.
  const products = new Map();
  for (const item of wanted) products.set(item.product_id, isStale(item) || products.get(item.product_id));
  const found = await Promise.allSettled(
    Array.from(products, ([id, fresh]) => fetchProduct(id, signal, { fresh })),
  );
  return found.some(({ status }) => status === "fulfilled") && !signal.aborted;
}

function isStale(item) {
  const left = recallLine(item)?.stock;
  return item.problem === "insufficient_stock" && (left === undefined || left >= item.quantity);
}
