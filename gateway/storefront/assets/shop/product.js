// One product.
import { h, icon } from "../lib/dom.js";
import { emptyPanel, load, skeleton } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { linkTo, setTitle } from "../lib/router.js";
import { call } from "../lib/api.js";
import { toSentence } from "../lib/words.js";
import { describeStock, productGrid, stars } from "./cards.js";
import { addToCart, MOST_UNITS } from "./cart.js";
import { fetchProduct, picture, remember } from "./catalog.js";
import { openCart } from "./drawer.js";
import { stepper } from "./stepper.js";

export const title = "Product";

const MORE = 5;

export async function view({ params, signal }) {
  const page = h("div");
  const more = h("section", { class: "more", "aria-label": "More of this kind" });
  load(
    page,
    async () => {
      const product = await fetchOrNull(params.id, signal);
      if (product) fetchMore(product, more, signal);
      return product;
    },
    (product) => (product ? showProduct(product) : gone()),
    { skeleton: [h("h1", { class: "visually-hidden" }, title), skeleton("product", 5)], signal },
  );
  return h("div", { class: "stack-wide" }, page, more);
}

async function fetchOrNull(id, signal) {
  try {
    return await fetchProduct(id, signal);
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

function gone() {
  return h(
    "div",
    null,
    h("h1", { class: "visually-hidden" }, "No such product"),
    emptyPanel(
      "This product is not for sale any more",
      "There are many others.",
      h("a", { class: "button button-primary", href: linkTo("/") }, "Go to the shop"),
    ),
  );
}

function showProduct(product) {
  const { title: name, brand, category, rating, stock, sku, description } = product;
  setTitle(name);
  return h(
    "article",
    { class: "product" },
    h("div", { class: "product-large" }, picture(product, { size: 560, eager: true })),
    h(
      "div",
      { class: "stack" },
      h(
        "nav",
        { class: "small", "aria-label": "Where this is" },
        h("a", { href: linkTo("/") }, "Shop"),
        " / ",
        h("a", { href: linkTo("/", { category }) }, toSentence(category)),
      ),
      h("h1", null, name),
      h(
        "p",
        { class: "row faint" },
        brand && h("span", null, "by ", h("a", { href: linkTo("/", { brand }) }, brand)),
        stars(rating),
      ),
      h("p", { class: "price" }, formatMoney(product.unit_amount, product.currency)),
      h(
        "p",
        { class: `row stock ${stock > 0 ? "stock-there" : "faint"}` },
        icon(stock > 0 ? "check" : "clock"),
        describeStock(stock),
      ),
      stock > 0
        ? buyForm(product)
        : h("p", { class: "faint" }, "Nothing is left of it just now. Look in again later."),
      h("p", { class: "description" }, description),
      h("p", { class: "small faint" }, `Article ${sku}`),
    ),
  );
}

function buyForm(product) {
  const quantity = stepper({ label: product.title, value: 1, most: Math.min(MOST_UNITS, product.stock) });
  const button = h(
    "button",
    { class: "button button-primary", type: "submit" },
    icon("cart"),
    "Put into the cart",
  );
  const form = h("form", { class: "row buy" }, quantity.element, button);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.hasAttribute("aria-busy")) return;
    form.setAttribute("aria-busy", "true");
    await addToCart(product, quantity.read(), { open: openCart });
    form.removeAttribute("aria-busy");
  });
  return form;
}

async function fetchMore(product, container, signal) {
  const query = { category: product.category, in_stock: "true", sort: "rating", limit: MORE };
  // Without them the page is whole, too.
  const found = await call("GET", "/products", { query, signal }).catch(() => null);
  const others = (found?.data ?? []).filter(({ id }) => id !== product.id).slice(0, MORE - 1);
  if (signal.aborted || !others.length) return;
  remember(others);
  container.append(
    h("h2", null, `More from ${toSentence(product.category)}`),
    productGrid(others, { level: "h3" }),
  );
}
