// The cart as the shop knows it; `change` fires whenever it is another.
import { call, Problem } from "../lib/api.js";
import { toast } from "../lib/feedback.js";
import { session } from "../lib/session.js";

export const MOST_UNITS = 1000;
// Somebody who presses + three times means one change.
const PAUSE = 350;

class Cart extends EventTarget {
  /** `{items, amount, currency, version}` or null as long as it is not known. */
  content = null;

  #line = Promise.resolve();
  // Quantities that the page shows already, by product, until the shop has answered: `{quantity, timer, told}`, the last
  // being a promise once the shop is being told.
  #wishes = new Map();

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
      // Another window may have put some in meanwhile.
      this.#show(await call("GET", "/cart"));
      const wanted = Math.min(MOST_UNITS, this.#quantityOf(productId) + quantity);
      this.#forget(productId);
      await this.#put(productId, wanted);
    });
  }

  /** Have so many of a product; the page shows it at once, the shop is told a moment later. */
  setQuantity(productId, quantity) {
    this.#forget(productId);
    const timer = setTimeout(() => this.#tell(productId).catch(() => {}), PAUSE);
    this.#wishes.set(productId, { quantity, timer, told: null });
    this.#show(this.content);
  }

  /** Take a product out. Throws Problem. */
  remove(productId) {
    this.#forget(productId);
    return this.#inLine(async () => this.#show(await call("DELETE", `/cart/items/${productId}`)));
  }

  /** Wait until the shop knows everything that the page shows, and return that. Throws Problem. */
  async settle() {
    await Promise.all([...this.#wishes.keys()].map((productId) => this.#tell(productId)));
    await this.#line;
    if (!this.content) await this.refresh();
    return this.content;
  }

  async #tell(productId) {
    const wish = this.#wishes.get(productId);
    if (!wish) return;
    clearTimeout(wish.timer);
    await (wish.told ??= this.#send(productId, wish));
  }

  async #send(productId, wish) {
    try {
      await this.#inLine(() => this.#put(productId, wish.quantity, wish));
    } catch (problem) {
      this.#fulfil(productId, wish);
      toast(problem.message, { kind: "bad" });
      await this.refresh().catch(() => {});
      throw problem;
    }
  }

  async #put(productId, quantity, wish) {
    const content = await call("PUT", `/cart/items/${productId}`, { body: { quantity } });
    this.#fulfil(productId, wish);
    this.#show(content);
  }

  #fulfil(productId, wish) {
    // Somebody may have wished for something else meanwhile.
    if (this.#wishes.get(productId) === wish) this.#wishes.delete(productId);
  }

  #forget(productId) {
    clearTimeout(this.#wishes.get(productId)?.timer);
    this.#wishes.delete(productId);
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
    this.content = content && this.#withWishes(content);
    this.dispatchEvent(new Event("change"));
  }

  #withWishes(content) {
    const items = content.items.map((item) => {
      const wish = this.#wishes.get(item.product_id);
      return wish ? withQuantity(item, wish.quantity) : item;
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
