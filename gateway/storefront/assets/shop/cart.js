// The cart as the shop knows it; `change` fires whenever it is another.
import { call, Problem } from "../lib/api.js";
import { toast } from "../lib/feedback.js";
import { session } from "../lib/session.js";

export const MOST_UNITS = 1000;
// Somebody who presses + three times means one change.
const PAUSE = 350;

class Cart extends EventTarget {
  /** `{items, amount, currency}` or null as long as it is not known. */
  content = null;

  #line = Promise.resolve();
  #delayed = new Map();

  constructor() {
    super();
    session.addEventListener("change", () => {
      this.#show(null);
      this.refresh().catch(() => {});
    });
  }

  /** How many units are in it; null as long as that is not known. */
  get count() {
    return this.content && this.content.items.reduce((sum, { quantity }) => sum + quantity, 0);
  }

  /** Fetch it anew. Throws Problem. */
  refresh() {
    return this.#inLine(async () => this.#show(await call("GET", "/cart")));
  }

  /** Put in so many more of a product. Throws Problem. */
  add(productId, quantity) {
    return this.#inLine(async () => {
      if (!this.content) this.#show(await call("GET", "/cart"));
      await this.#put(productId, Math.min(MOST_UNITS, this.#quantityOf(productId) + quantity));
    });
  }

  /** Have so many of a product; the page shows it at once, the shop is told a moment later. */
  setQuantity(productId, quantity) {
    const items = this.content.items.map((item) =>
      item.product_id === productId ? withQuantity(item, quantity) : item,
    );
    const amounts = items.map(({ amount }) => amount);
    const amount = amounts.includes(null) ? null : amounts.reduce((sum, each) => sum + each, 0);
    this.#show({ ...this.content, items, amount });
    clearTimeout(this.#delayed.get(productId)?.timer);
    const timer = setTimeout(() => this.#sendDelayed(productId), PAUSE);
    this.#delayed.set(productId, { timer, quantity });
  }

  /** Take a product out. Throws Problem. */
  remove(productId) {
    this.#forget(productId);
    return this.#inLine(async () => this.#show(await call("DELETE", `/cart/items/${productId}`)));
  }

  /** Wait until the shop knows everything that the page shows. */
  async settle() {
    await Promise.all([...this.#delayed.keys()].map((productId) => this.#sendDelayed(productId)));
    await this.#line;
  }

  #sendDelayed(productId) {
    const { quantity } = this.#forget(productId) ?? {};
    if (quantity === undefined) return this.#line;
    return this.#inLine(() => this.#put(productId, quantity)).catch(async (problem) => {
      toast(problem.message, { kind: "bad" });
      await this.refresh().catch(() => {});
    });
  }

  #forget(productId) {
    const delayed = this.#delayed.get(productId);
    clearTimeout(delayed?.timer);
    this.#delayed.delete(productId);
    return delayed;
  }

  async #put(productId, quantity) {
    this.#show(await call("PUT", `/cart/items/${productId}`, { body: { quantity } }));
  }

  #quantityOf(productId) {
    return this.content?.items.find(({ product_id: id }) => id === productId)?.quantity ?? 0;
  }

  // One call after the other, so that the answer that comes last is the newest.
  #inLine(work) {
    const done = this.#line.then(work);
    this.#line = done.catch(() => {});
    return done;
  }

  #show(content) {
    // What was changed here a moment ago, and was not told yet, stays as it was changed.
    const items = content?.items.map((item) => {
      const delayed = this.#delayed.get(item.product_id);
      return delayed ? withQuantity(item, delayed.quantity) : item;
    });
    this.content = content && { ...content, items };
    this.dispatchEvent(new Event("change"));
  }
}

function withQuantity(item, quantity) {
  return { ...item, quantity, amount: item.unit_amount === null ? null : item.unit_amount * quantity };
}

export const cart = new Cart();

/** Put a product into the cart, and say so. Resolves to whether it worked. */
export async function addToCart(product, quantity, { open }) {
  try {
    await cart.add(product.id, quantity);
    toast(`${product.title} is in your cart.`, { kind: "good", action: { label: "View cart", run: open } });
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(`Not put into the cart. ${problem.message}`, { kind: "bad" });
    return false;
  }
}
