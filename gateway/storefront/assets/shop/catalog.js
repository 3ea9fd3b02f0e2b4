// Products that the page has fetched, so that the cart has their pictures without more requests.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toSentence } from "../lib/labels.js";
import { linkTo } from "../lib/router.js";

const DRAWN = /-1200\.webp$/;

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
  return linkTo(productPath(recall(id) ?? { id }), isOneOfSeveral ? { variant } : null);
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
    sizes: `${size}px`,
    srcset: stored ? sourceSet(stored) : drawnSet(source),
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

// The pictures of the sample have a smaller file, too.
function drawnSet(source) {
  return DRAWN.test(source) ? `${source.replace(DRAWN, "-480.webp")} 480w, ${source} 1200w` : null;
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
