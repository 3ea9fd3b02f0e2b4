// The cart of the session; fires `change` on each change.
import { call, Problem } from "../lib/api.js";
import { toast } from "../lib/feedback.js";
import { session } from "../lib/session.js";

export const MAX_QUANTITY = 1000;
// Milliseconds for which quantity changes are collected, so that three clicks on + make one request.
const DEBOUNCE = 350;

class Cart extends EventTarget {
  /** `{items, amount, currency, version}`, or null until it is fetched. */
  content = null;

  #queue = Promise.resolve();
  // Quantities that the page shows but the server does not have yet, by product: `{quantity, timer, sent}`.
  // `sent` is the promise of the request.
  #pending = new Map();

  constructor() {
    super();
    session.addEventListener("change", () => {
      this.#show(null);
      this.refresh().catch(() => {});
    });
  }

  /** The number of units; null until the cart is fetched. */
  get count() {
    return this.content && this.content.items.reduce((sum, { quantity }) => sum + quantity, 0);
  }

  /** Fetch the cart again. Throws Problem. */
  refresh() {
    return this.#enqueue(async () => this.#show(await call("GET", "/cart")));
  }

  /** Add units of a product. Throws Problem. */
  add(productId, quantity) {
    return this.#enqueue(async () => {
      // The quantity may have changed in another window.
      this.#show(await call("GET", "/cart"));
      const wanted = Math.min(MAX_QUANTITY, this.#quantityOf(productId) + quantity);
      this.#forget(productId);
      await this.#put(productId, wanted);
    });
  }

  /** Set the quantity of a product. The page shows it at once; the request follows after `DEBOUNCE`. */
  setQuantity(productId, quantity) {
    this.#forget(productId);
    const timer = setTimeout(() => this.#flush(productId).catch(() => {}), DEBOUNCE);
    this.#pending.set(productId, { quantity, timer, sent: null });
    this.#show(this.content);
  }

  /** Remove a product. Throws Problem. */
  remove(productId) {
    this.#forget(productId);
    return this.#enqueue(async () => this.#show(await call("DELETE", `/cart/items/${productId}`)));
  }

  /** Send all pending changes; return the cart that the server then has. Throws Problem. */
  async settle() {
    await Promise.all([...this.#pending.keys()].map((productId) => this.#flush(productId)));
    await this.#queue;
    if (!this.content) await this.refresh();
    return this.content;
  }

  async #flush(productId) {
    const change = this.#pending.get(productId);
    if (!change) return;
    clearTimeout(change.timer);
    await (change.sent ??= this.#send(productId, change));
  }

  async #send(productId, change) {
    try {
      await this.#enqueue(() => this.#put(productId, change.quantity, change));
    } catch (problem) {
      this.#complete(productId, change);
      toast(problem.message, { kind: "bad" });
      await this.refresh().catch(() => {});
      throw problem;
    }
  }

  async #put(productId, quantity, change) {
    const content = await call("PUT", `/cart/items/${productId}`, { body: { quantity } });
    this.#complete(productId, change);
    this.#show(content);
  }

  #complete(productId, change) {
    // A newer change may have replaced this one.
    if (this.#pending.get(productId) === change) this.#pending.delete(productId);
  }

  #forget(productId) {
    clearTimeout(this.#pending.get(productId)?.timer);
    this.#pending.delete(productId);
  }

  #quantityOf(productId) {
    return this.content?.items.find(({ product_id: id }) => id === productId)?.quantity ?? 0;
  }

  // Requests run one after the other, so that the last response is the newest.
  #enqueue(work) {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }

  #show(content) {
    this.content = content && this.#withPending(content);
    this.dispatchEvent(new Event("change"));
  }

  #withPending(content) {
    const items = content.items.map((item) => {
      const change = this.#pending.get(item.product_id);
      return change ? withQuantity(item, change.quantity) : item;
    });
    const isPriced = items.every(({ amount }) => amount !== null);
    return {
      ...content,
      items,
      amount: isPriced ? items.reduce((sum, { amount }) => sum + amount, 0) : null,
    };
  }
}

function withQuantity(item, quantity) {
  return { ...item, quantity, amount: item.unit_amount === null ? null : item.unit_amount * quantity };
}

export const cart = new Cart();

/** Add a product to the cart and show a toast, whose action calls `openCart`. */
export async function addToCart(product, quantity, openCart) {
  try {
    await cart.add(product.id, quantity);
    toast(`Added ${product.title} to your cart.`, {
      kind: "good",
      action: { label: "View cart", run: openCart },
    });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(`Could not add to cart. ${problem.message}`, { kind: "bad" });
  }
}
