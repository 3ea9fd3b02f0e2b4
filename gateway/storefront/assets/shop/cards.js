// Product cards in a grid.
import { h, icon } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";
import { addToCart } from "./cart.js";
import { openCart } from "./drawer.js";
import { categoryPath, picture, productPath } from "./catalog.js";
import { currentPrice, lowestPrice } from "./price.js";

const LOW_STOCK = 5;

/** Return a grid of products; the pictures of the first `eager` products load at once. */
export function productGrid(products, { eager = 0, level = "h2" } = {}) {
  return h(
    "ul",
    { class: "products" },
    products.map((product, place) => productCard(product, { eager: place < eager, level })),
  );
}

/** Return a product as a card of the grid. */
export function productCard(product, { eager = false, level = "h2" } = {}) {
  const { title, brand, stock } = product;
  return h(
    "li",
    { class: "product-card" },
    h("div", { class: "product-picture" }, picture(product, { eager }), stock > 0 && addControl(product)),
    h("p", { class: "small faint" }, brand ?? "\u00a0"),
    h(level, null, h("a", { href: linkTo(productPath(product)) }, title)),
    h(
      "p",
      { class: "row row-apart" },
      currentPrice(product),
      stock > 0 ? stars(product.rating) : h("span", { class: "badge" }, "Sold out"),
    ),
    lowestPrice(product),
    stock > 0 && stock <= LOW_STOCK && h("p", { class: "small few" }, describeStock(stock)),
  );
}

function addControl(product) {
  return product.variant_count > 1 ? chooseLink(product) : quickAdd(product);
}

// A product with several variants is added on its page, where the customer chooses one.
function chooseLink(product) {
  const label = `Choose options for ${product.title}`;
  return h("a", { class: "quick-add", href: linkTo(productPath(product)), "aria-label": label }, icon("arrow"));
}

function quickAdd(product) {
  const button = h(
    "button",
    { class: "quick-add", type: "button", "aria-label": `Add ${product.title} to cart` },
    icon("plus"),
  );
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    const { id, variant_id: variant, title } = product;
    // An older replica sends no variant_id.
    await addToCart({ id: variant ?? id, product_id: id, title }, 1, openCart);
    button.removeAttribute("aria-disabled");
  });
  return button;
}

/** Return the way from the front page through these categories, each `{path, title}`. */
export function breadcrumb(categories) {
  return h(
    "nav",
    { class: "small", "aria-label": "Breadcrumb" },
    h("a", { href: linkTo("/") }, "Shop"),
    categories.map(({ path, title }) => [" / ", h("a", { href: linkTo(categoryPath(path)) }, title)]),
  );
}

/** Return the availability for a customer. */
export function describeStock(stock) {
  if (stock === 0) return "Sold out";
  return stock <= LOW_STOCK ? `Only ${stock} left` : "In stock";
}

/** Return a rating as a star and a number; null without a rating. */
export function stars(rating) {
  if (rating === null || rating === undefined) return null;
  const number = rating.toLocaleString(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return h(
    "span",
    { class: "stars small" },
    icon("star"),
    h("span", { class: "visually-hidden" }, "Rated "),
    number,
    h("span", { class: "visually-hidden" }, " of 5"),
  );
}
