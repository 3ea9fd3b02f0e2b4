// Products that were seen already, so that a cart has pictures without asking again.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";

const known = new Map();

/** Keep products for recall. */
export function remember(products) {
  for (const product of products) known.set(product.id, product);
}

/** Return a product as it was seen last, or undefined. */
export function recall(id) {
  return known.get(id);
}

/** Fetch a product, as it is this very moment if it is to be `fresh`. Throws Problem. */
export async function fetchProduct(id, signal, { fresh = false } = {}) {
  // The gateway keeps what has no query for some seconds.
  const query = fresh ? { at: Date.now() } : null;
  const product = await call("GET", `/products/${encodeURIComponent(id)}`, { query, signal });
  remember([product]);
  return product;
}

/**
 * Return a product's picture, square; `size` is its width in pixels for the layout, `eager` for the first in view.
 *
 * The page shows pictures of this shop only (Content-Security-Policy), so one from elsewhere gets a stand-in.
 */
export function picture(product, { size = 400, eager = false, alt = "" } = {}) {
  const source = product?.images?.[0];
  if (!source || !isOurs(source)) return placeholder();
  const image = h("img", {
    alt,
    width: size,
    height: size,
    class: "picture",
    loading: eager ? null : "lazy",
    decoding: "async",
    src: source,
  });
  image.addEventListener("error", () => image.replaceWith(placeholder()), { once: true });
  return image;
}

function isOurs(address) {
  // Whoever keeps the catalogue may have written anything, such as `http://`.
  return URL.canParse(address, location.href) && new URL(address, location.href).origin === location.origin;
}

function placeholder() {
  return h("div", { class: "picture picture-missing" }, icon("box"));
}
