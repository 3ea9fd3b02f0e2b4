// Products that the page has fetched, so that the cart has their pictures without more requests.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";

const known = new Map();

/** Cache products for recall. */
export function remember(products) {
  for (const product of products) known.set(product.id, product);
}

/** Return the cached product, or undefined. */
export function recall(id) {
  return known.get(id);
}

/** Fetch a product; `fresh` bypasses the cache of the gateway. Throws Problem. */
export async function fetchProduct(id, signal, { fresh = false } = {}) {
  // The gateway caches a product's URL without a query for some seconds.
  const query = fresh ? { at: Date.now() } : null;
  const product = await call("GET", `/products/${encodeURIComponent(id)}`, { query, signal });
  remember([product]);
  return product;
}

const DRAWN = /-1200\.webp$/;

/**
 * Return a product's square picture; `size` is its layout width in pixels, and `eager` disables lazy loading.
 *
 * The Content-Security-Policy blocks pictures of other hosts, so these get a placeholder.
 */
export function picture(product, { size = 400, eager = false } = {}) {
  const source = product?.images?.[0];
  if (!source || !isSameOrigin(source)) return placeholder();
  const image = h("img", {
    alt: "",
    width: size,
    height: size,
    class: "picture",
    loading: eager ? null : "lazy",
    decoding: "async",
    // The pictures of the sample have a smaller file, too.
    sizes: `${size}px`,
    srcset: DRAWN.test(source) ? `${source.replace(DRAWN, "-480.webp")} 480w, ${source} 1200w` : null,
    src: source,
  });
  image.addEventListener("error", () => image.replaceWith(placeholder()), { once: true });
  return image;
}

function isSameOrigin(address) {
  // The catalogue may contain invalid addresses, such as `http://`.
  return URL.canParse(address, location.href) && new URL(address, location.href).origin === location.origin;
}

function placeholder() {
  return h("div", { class: "picture picture-missing" }, icon("box"));
}
