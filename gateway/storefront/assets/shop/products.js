// What is for sale.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { emptyPanel, load, skeleton } from "../lib/feedback.js";
import { formatMoney } from "../lib/format.js";
import { linkTo } from "../lib/router.js";

export const title = "Shopfleet";

export async function view({ query, signal }) {
  const list = h("div");
  load(
    list,
    () => call("GET", "/products", { query, signal }),
    (page) =>
      page?.data.length
        ? h("ul", { class: "products" }, page.data.map(showCard))
        : emptyPanel("Nothing fits", "Try other words."),
    { skeleton: skeleton("cards", 12), signal },
  );
  return h("div", { class: "stack" }, h("h1", null, "Well-made things"), list);
}

function showCard(product) {
  return h(
    "li",
    { class: "product-card" },
    h("img", { src: product.images[0], alt: "", width: 400, height: 400, loading: "lazy" }),
    h("h2", null, h("a", { href: linkTo(`/products/${product.id}`) }, product.title)),
    h("p", { class: "number" }, formatMoney(product.unit_amount, product.currency)),
  );
}
