// Products in a grid.
import { h, icon } from "../lib/dom.js";
import { formatMoney } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { addToCart } from "./cart.js";
import { openCart } from "./drawer.js";
import { picture } from "./catalog.js";

const FEW = 5;

/** Return a list of products; the pictures of the first `eager` are fetched at once. */
export function productGrid(products, { eager = 0, level = "h2" } = {}) {
  return h(
    "ul",
    { class: "products" },
    products.map((product, place) => productCard(product, { eager: place < eager, level })),
  );
}

/** Return a product as an entry of the grid. */
export function productCard(product, { eager = false, level = "h2" } = {}) {
  const { id, title, brand, stock, unit_amount: amount, currency } = product;
  return h(
    "li",
    { class: "product-card" },
    h("div", { class: "product-picture" }, picture(product, { eager }), stock > 0 && quickAdd(product)),
    h("p", { class: "small faint" }, brand ?? "\u00a0"),
    h(level, null, h("a", { href: linkTo(`/products/${id}`) }, title)),
    h(
      "p",
      { class: "row row-apart" },
      h("strong", { class: "number" }, formatMoney(amount, currency)),
      stock > 0 ? stars(product.rating) : h("span", { class: "badge" }, "Sold out"),
    ),
    stock > 0 && stock <= FEW && h("p", { class: "small few" }, describeStock(stock)),
  );
}

function quickAdd(product) {
  const button = h(
    "button",
    { class: "quick-add", type: "button", "aria-label": `Put ${product.title} into the cart` },
    icon("plus"),
  );
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    await addToCart(product, 1, { open: openCart });
    button.removeAttribute("aria-disabled");
  });
  return button;
}

/** Return what the stock means for a shopper. */
export function describeStock(stock) {
  if (stock === 0) return "Sold out";
  return stock <= FEW ? `Only ${stock} left` : "In stock";
}

/** Return a rating as a star and a number, or nothing. */
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
