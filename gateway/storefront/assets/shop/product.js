// One product, with others of its category.
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel, load, skeleton } from "../lib/feedback.js";
import { linkTo, setAddress, setTitle } from "../lib/router.js";
import { call } from "../lib/api.js";
import { breadcrumb, describeStock, productGrid, stars } from "./cards.js";
import { addToCart, MAX_QUANTITY } from "./cart.js";
import { asSold, fetchBySlug, fetchProduct, picture, productPath, remember, traceCategory } from "./catalog.js";
import { openCart } from "./drawer.js";
import { currentPrice, lowestPrice } from "./price.js";
import { stepper } from "./stepper.js";
import { variantChoice } from "./variants.js";

export const title = "Product";

const RELATED = 4;

export async function view({ params, query, signal }) {
  const page = h("div");
  const related = h("section", { class: "more", "aria-label": "Related products" });
  load(
    page,
    async () => {
      const product = await fetchOrNull(params, signal);
      // Also for the number of a product, and for a former slug.
      const variant = query.get("variant");
      if (product && !signal.aborted) setAddress(productPath(product), variant ? { variant } : null);
      if (product) fetchRelated(product, related, signal);
      return product;
    },
    (product) => (product ? showProduct(product, query.get("variant")) : notFound()),
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

function showProduct(product, wanted) {
  const { title: name, brand, rating, description } = product;
  const crumbs = crumbsOf(product);
  const price = h("p", { class: "price" });
  const lowest = h("div");
  const availability = h("p");
  const code = h("p", { class: "small faint" });
  const pictures = gallery(product);
  setTitle(name);

  function showOffer(offer) {
    const isThere = offer.stock > 0;
    replace(price, currentPrice(offer));
    replace(lowest, lowestPrice(offer));
    availability.className = `row stock ${isThere ? "stock-there" : "faint"}`;
    replace(
      availability,
      icon(isThere ? "check" : "clock"),
      offer.stock === null ? "Unavailable" : describeStock(offer.stock),
    );
    code.textContent = `SKU ${offer.sku}`;
    // The picture of the chosen variant, if it has one.
    const place = product.images.indexOf(offer.image);
    if (place >= 0) pictures.show(place);
  }

  return h(
    "article",
    { class: "product" },
    pictures.element,
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
      price,
      lowest,
      availability,
      buyPart(product, wanted, showOffer),
      h("p", { class: "description" }, description),
      code,
    ),
  );
}

/** Return the large picture and, if there are several, a button for each, as `{element, show(place)}`. */
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
  const choices = h("div", { class: "gallery-choices", role: "group", "aria-label": "Images" }, buttons);
  return { element: h("div", { class: "gallery" }, stage, images.length > 1 && choices), show };
}

// The previous release has no breadcrumbs.
function crumbsOf({ breadcrumbs, category }) {
  return breadcrumbs ?? traceCategory(category);
}

function buyPart(product, wanted, showOffer) {
  // An older replica sends no variants.
  const { variants = [] } = product;
  if (variants.length > 1) return variantForm(product, wanted, showOffer);
  const sold = variants.length ? asSold(product, variants[0]) : product;
  showOffer(sold);
  if (sold.stock > 0) return buyForm(sold.title, { max: sold.stock, check: () => sold }).element;
  return h("p", { class: "faint" }, "This product is out of stock. Check back later.");
}

function variantForm(product, wanted, showOffer) {
  const choice = variantChoice(product, wanted, (offer, canBuy) => {
    showOffer(offer);
    form.limit(offer.stock || MAX_QUANTITY);
    form.button.setAttribute("aria-disabled", String(!canBuy));
  });
  const form = buyForm(product.title, { choice, check: choice.check });
  choice.start();
  return form.element;
}

// `check()` returns what to add to the cart, or null, once it has told the customer what is missing.
function buyForm(name, { max = MAX_QUANTITY, choice, check }) {
  const quantity = stepper({ label: name, value: 1, max: Math.min(MAX_QUANTITY, max) });
  const button = h(
    "button",
    { class: "button button-primary", type: "submit", "aria-describedby": choice && choice.message.id },
    icon("cart"),
    "Add to cart",
  );
  const element = h("form", { class: "row buy" }, choice?.element, quantity.element, button, choice?.message);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sold = check();
    if (!sold || element.hasAttribute("aria-busy")) return;
    element.setAttribute("aria-busy", "true");
    await addToCart(sold, quantity.read(), openCart);
    element.removeAttribute("aria-busy");
  });
  return { element, button, limit: (most) => quantity.limit(Math.min(MAX_QUANTITY, most)) };
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
