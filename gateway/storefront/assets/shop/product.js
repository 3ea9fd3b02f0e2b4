// One product, with others of its category.
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel, load, skeleton } from "../lib/feedback.js";
import { linkTo, setAddress, setTitle } from "../lib/router.js";
import { call } from "../lib/api.js";
import { breadcrumb, describeStock, productGrid, stars } from "./cards.js";
import { addToCart, MAX_QUANTITY } from "./cart.js";
import { fetchBySlug, fetchProduct, picture, productPath, remember, traceCategory } from "./catalog.js";
import { openCart } from "./drawer.js";
import { currentPrice, lowestPrice } from "./price.js";
import { stepper } from "./stepper.js";

export const title = "Product";

const RELATED = 4;

export async function view({ params, signal }) {
  const page = h("div");
  const related = h("section", { class: "more", "aria-label": "Related products" });
  load(
    page,
    async () => {
      const product = await fetchOrNull(params, signal);
      // Also for the number of a product, and for a former slug.
      if (product && !signal.aborted) setAddress(productPath(product));
      if (product) fetchRelated(product, related, signal);
      return product;
    },
    (product) => (product ? showProduct(product) : notFound()),
    { skeleton: [h("h1", { class: "visually-hidden" }, title), skeleton("product", 5)], signal },
  );
  return h("div", { class: "stack-wide" }, page, related);
}

async function fetchOrNull({ id, slug }, signal) {
  try {
    return await (slug ? fetchBySlug(slug, signal) : fetchProduct(id, signal));
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

function notFound() {
  return h(
    "div",
    null,
    h("h1", { class: "visually-hidden" }, "Product not found"),
    emptyPanel(
      "This product is no longer available",
      "Browse the shop for similar products.",
      h("a", { class: "button button-primary", href: linkTo("/") }, "Continue shopping"),
    ),
  );
}

function showProduct(product) {
  const { title: name, brand, rating, stock, sku, description } = product;
  const crumbs = crumbsOf(product);
  setTitle(name);
  return h(
    "article",
    { class: "product" },
    gallery(product),
    h(
      "div",
      { class: "stack" },
      breadcrumb(crumbs),
      h("h1", null, name),
      h(
        "p",
        { class: "row faint" },
        brand && h("span", null, "by ", h("a", { href: linkTo("/", { brand }) }, brand)),
        stars(rating),
      ),
      h("p", { class: "price" }, currentPrice(product)),
      lowestPrice(product),
      h(
        "p",
        { class: `row stock ${stock > 0 ? "stock-there" : "faint"}` },
        icon(stock > 0 ? "check" : "clock"),
        describeStock(stock),
      ),
      stock > 0
        ? buyForm(product)
        : h("p", { class: "faint" }, "This product is out of stock. Check back later."),
      h("p", { class: "description" }, description),
      h("p", { class: "small faint" }, `SKU ${sku}`),
    ),
  );
}

/** Return the large picture and, if there are several, a button for each. */
function gallery(product) {
  const { images, title: name } = product;
  const stage = h("div", { class: "gallery-stage" });
  const buttons = images.map((source, place) =>
    h(
      "button",
      {
        class: "gallery-choice",
        type: "button",
        "aria-label": `Show image ${place + 1} of ${images.length} of ${name}`,
        onclick: () => show(place),
      },
      picture(product, { size: 72, source }),
    ),
  );
  function show(chosen) {
    replace(stage, picture(product, { size: 560, eager: true, source: images[chosen] }));
    buttons.forEach((button, place) => button.setAttribute("aria-pressed", String(place === chosen)));
  }
  show(0);
  return h(
    "div",
    { class: "gallery" },
    stage,
    images.length > 1 && h("div", { class: "gallery-choices", role: "group", "aria-label": "Images" }, buttons),
  );
}

// The previous release has no breadcrumbs.
function crumbsOf({ breadcrumbs, category }) {
  return breadcrumbs ?? traceCategory(category);
}

function buyForm(product) {
  const quantity = stepper({ label: product.title, value: 1, max: Math.min(MAX_QUANTITY, product.stock) });
  const button = h("button", { class: "button button-primary", type: "submit" }, icon("cart"), "Add to cart");
  const form = h("form", { class: "row buy" }, quantity.element, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.hasAttribute("aria-busy")) return;
    form.setAttribute("aria-busy", "true");
    await addToCart(product, quantity.read(), openCart);
    form.removeAttribute("aria-busy");
  });
  return form;
}

async function fetchRelated(product, container, signal) {
  const query = { category: product.category, in_stock: "true", sort: "rating", limit: RELATED + 1 };
  // The page works without related products.
  const found = await call("GET", "/products", { query, signal }).catch(() => null);
  const others = (found?.data ?? []).filter(({ id }) => id !== product.id).slice(0, RELATED);
  if (signal.aborted || !others.length) return;
  remember(others);
  container.append(
    h("h2", null, `More in ${crumbsOf(product).at(-1).title}`),
    productGrid(others, { level: "h3" }),
  );
}
