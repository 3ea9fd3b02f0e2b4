// The cart of the session; fires `change` on each change.
import { call, Problem } from "../lib/api.js";
import { toast } from "../lib/feedback.js";
import { navigate } from "../lib/router.js";
import { session } from "../lib/session.js";

export const MAX_QUANTITY = 1000;
// Milliseconds for which quantity changes are collected, so that three clicks on + make one request.
const DEBOUNCE = 350;

class Cart extends EventTarget {
  /** The answer to `GET /cart` with the pending quantities, or null until it is fetched. */
  content = null;

  #queue = Promise.resolve();
  // Quantities that the page shows but the server does not have yet, by variant: `{quantity, timer, sent}`.
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

  /** Add units of a variant. Throws Problem. */
  add(variantId, quantity) {
    return this.#enqueue(async () => {
      // The quantity may have changed in another window.
      this.#show(await call("GET", "/cart"));
      const wanted = Math.min(MAX_QUANTITY, this.#quantityOf(variantId) + quantity);
      this.#forget(variantId);
      await this.#put(variantId, wanted);
    });
  }

  /** Set the quantity of a variant. The page shows it at once; the request follows after `DEBOUNCE`. */
  setQuantity(variantId, quantity) {
    this.#forget(variantId);
    const timer = setTimeout(() => this.#flush(variantId).catch(() => {}), DEBOUNCE);
    this.#pending.set(variantId, { quantity, timer, sent: null });
    this.#show(this.content);
  }

  /** Remove a variant. Throws Problem. */
  remove(variantId) {
    this.#forget(variantId);
    return this.change("DELETE", `/cart/items/${variantId}`);
  }

  /** Make a call that changes the cart and returns it. Throws Problem. */
  change(method, path, body) {
    return this.#enqueue(async () => this.#show(await call(method, path, { body })));
  }

  /** Send all pending changes; return the cart that the server then has. Throws Problem. */
  async settle() {
    await Promise.all([...this.#pending.keys()].map((variantId) => this.#flush(variantId)));
    await this.#queue;
    if (!this.content) await this.refresh();
    return this.content;
  }

  async #flush(variantId) {
    const change = this.#pending.get(variantId);
    if (!change) return;
    clearTimeout(change.timer);
    await (change.sent ??= this.#send(variantId, change));
  }

  async #send(variantId, change) {
    try {
      await this.#enqueue(() => this.#put(variantId, change.quantity, change));
    } catch (problem) {
      this.#complete(variantId, change);
      toast(problem.message, { kind: "bad" });
      await this.refresh().catch(() => {});
      throw problem;
    }
  }

  async #put(variantId, quantity, change) {
    const content = await call("PUT", `/cart/items/${variantId}`, { body: { quantity } });
    this.#complete(variantId, change);
    this.#show(content);
  }

  #complete(variantId, change) {
    // A newer change may have replaced this one.
    if (this.#pending.get(variantId) === change) this.#pending.delete(variantId);
  }

  #forget(variantId) {
    clearTimeout(this.#pending.get(variantId)?.timer);
    this.#pending.delete(variantId);
  }

  #quantityOf(variantId) {
    return this.content?.items.find(({ variant_id: id }) => id === variantId)?.quantity ?? 0;
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
    const items = content.items.map((line) => {
      // An older replica sends no variant_id; its lines are of first variants.
      const item = { variant_id: line.product_id, ...line };
      const change = this.#pending.get(item.variant_id);
      return change ? withQuantity(item, change.quantity) : item;
    });
    if (!this.#pending.size || !content.adjustments) return { ...content, items };
    // Until the server has priced the change, what is added to the items is what it was.
    const isPriced = items.every(({ amount }) => amount !== null);
    const items_amount = isPriced ? items.reduce((sum, { amount }) => sum + amount, 0) : null;
    const added = content.adjustments.reduce((sum, each) => sum + (each.included ? 0 : each.amount), 0);
    const amount = isPriced ? Math.max(0, items_amount + added) : null;
    return { ...content, items, items_amount, amount };
  }
}

function withQuantity(item, quantity) {
  return { ...item, quantity, amount: item.unit_amount === null ? null : item.unit_amount * quantity };
}

export const cart = new Cart();

/**
 * Add a product with one variant, or a variant with its `product_id`, to the cart, and show a toast, whose
 * action calls `openCart`.
 */
export async function addToCart({ id, product_id = id, title }, quantity, openCart) {
  try {
    await cart.add(id, quantity);
    toast(`Added ${title} to your cart.`, {
      kind: "good",
      action: { label: "View cart", run: openCart },
    });
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    // The page may be older than the product's variants.
    const isOutdated = problem.code === "product_not_found";
    toast(`Could not add to cart. ${isOutdated ? "The product has changed." : problem.message}`, {
      kind: "bad",
      action: isOutdated && { label: "View product", run: () => navigate(`/products/${product_id}`) },
    });
  }
}
