// Products that the page has fetched, so that the cart has their pictures without more requests.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";

const known = new Map();

/** Cache products for recall. */
export function remember(products) {
  for (const product of products) known.set(product.id, product);
}

/** Return the cached product, or undefined. */
export function recall(id) {
  return known.get(id);
}

/**
 * Return the cached product of a line as its variant is sold: with the variant's title, stock and picture.
 * The stock is undefined while only the list's entry of a product with several variants is cached.
 */
export function recallLine(line) {
  const product = recall(line.product_id);
  if (!product) return undefined;
  const variant = product.variants?.find(({ id }) => id === line.variant_id);
  if (variant) return asSold(product, variant);
  return product.variant_count > 1 ? { ...product, stock: undefined } : product;
}

/** Cache the current stock of a line's variant. */
export function rememberStock(line, stock) {
  const product = recall(line.product_id);
  if (!product) return;
  const variants = product.variants?.map((each) => (each.id === line.variant_id ? { ...each, stock } : each));
  remember([product.variant_count > 1 ? { ...product, variants } : { ...product, variants, stock }]);
}

/** Return a variant with the members of its product that a customer sees. */
export function asSold(product, variant) {
  return {
    ...product,
    ...variant,
    product_id: product.id,
    title: variant.title ? `${product.title}, ${variant.title}` : product.title,
    images: variant.image ? [variant.image] : product.images,
  };
}

/** Return the URL of a line's product with its variant chosen; null while the product is unknown. */
export function linkToLine({ product_id: id, variant_id: variant }) {
  if (!id) return null;
  const isOneOfSeveral = variant !== id || recall(id)?.variant_count > 1;
  return linkTo(`/products/${id}`, isOneOfSeveral ? { variant } : null);
}

/** Fetch a product; `fresh` bypasses the cache of the gateway. Throws Problem. */
export async function fetchProduct(id, signal, { fresh = false } = {}) {
  // The gateway caches a product's URL without a query for some seconds.
  const query = fresh ? { at: Date.now() } : null;
  const product = await call("GET", `/products/${encodeURIComponent(id)}`, { query, signal });
  remember([product]);
  return product;
}

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
