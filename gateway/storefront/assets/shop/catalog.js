// Products that the page has fetched, so that the cart has their pictures without more requests.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toSentence } from "../lib/labels.js";

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

/** Return the path of a product's view; a product of the previous release has no slug. */
export function productPath({ id, slug }) {
  return slug ? `/p/${slug}` : `/products/${id}`;
}

/** Return the path of a category's view. */
export function categoryPath(path) {
  return `/c/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Return the name at the end of a category's path, as the API titles a category without a title. */
export function titleFromPath(path) {
  return toSentence(path.split("/").at(-1));
}

/** Return the categories from the root to this one, each `{path, title}`. */
export function traceCategory(path) {
  const names = path.split("/");
  const paths = names.map((_, place) => names.slice(0, place + 1).join("/"));
  return paths.map((each) => ({ path: each, title: titleFromPath(each) }));
}

/** Fetch the product with this slug, which may be a former one. Throws Problem. */
export async function fetchBySlug(slug, signal) {
  const product = await call("GET", `/products/by-slug/${encodeURIComponent(slug)}`, { signal });
  remember([product]);
  return product;
}

/**
 * Return a product's square picture; `size` is its layout width in pixels, and `eager` disables lazy loading.
 * `source` is one of its `images`, by default the first.
 *
 * The Content-Security-Policy blocks pictures of other hosts, so these get a placeholder.
 */
export function picture(product, { size = 400, eager = false, source = product?.images?.[0] } = {}) {
  if (!source || !isSameOrigin(source)) return placeholder();
  const stored = mediaOf(product, source);
  const image = h("img", {
    alt: stored?.alt ?? "",
    width: size,
    height: size,
    class: "picture",
    loading: eager ? null : "lazy",
    decoding: "async",
    sizes: stored ? `${size}px` : null,
    srcset: stored ? sourceSet(stored) : null,
    src: source,
  });
  if (stored) {
    // The Content-Security-Policy allows styles that a script sets, but no style attributes.
    image.style.backgroundColor = stored.colour;
    image.addEventListener("load", () => image.style.removeProperty("background-color"), { once: true });
  }
  image.addEventListener("error", () => image.replaceWith(placeholder()), { once: true });
  return image;
}

/** Return the stored image of a product that has this URL, or undefined. */
export function mediaOf(product, source) {
  return product.media?.find(({ urls }) => urls["1200"] === source);
}

function sourceSet({ width, height, urls }) {
  // Both sides of a file fit in its size.
  const widthOf = (size) => Math.max(1, Math.round(width * Math.min(1, size / Math.max(width, height))));
  return Object.entries(urls)
    .map(([size, url]) => `${url} ${widthOf(Number(size))}w`)
    .join(", ");
}

function isSameOrigin(address) {
  // The catalogue may contain invalid addresses, such as `http://`.
  return URL.canParse(address, location.href) && new URL(address, location.href).origin === location.origin;
}

function placeholder() {
  return h("div", { class: "picture picture-missing" }, icon("box"));
}
