// The routes, the header and the skip link of the page.
import { h, icon, replace } from "./lib/dom.js";
import { toast } from "./lib/feedback.js";
import { currentPath, linkTo, navigate, start } from "./lib/router.js";
import { session } from "./lib/session.js";
import { countOf } from "./lib/labels.js";
import { cart } from "./shop/cart.js";
import { openCart } from "./shop/drawer.js";

const ROUTES = [
  ["/", () => import("./shop/products.js")],
  ["/c/*", () => import("./shop/products.js")],
  ["/p/:slug", () => import("./shop/product.js")],
  ["/products/:id", () => import("./shop/product.js")],
  ["/checkout", () => import("./shop/checkout.js")],
  ["/orders", () => import("./shop/orders.js")],
  ["/orders/:id", () => import("./shop/order.js")],
  ["/login", () => import("./shop/login.js")],
  ["/forgot-password", () => import("./shop/forgot-password.js")],
  ["/reset-password", () => import("./shop/reset-password.js")],
  ["/verify-email", () => import("./shop/verify-email.js")],
  ["/find-order", () => import("./shop/find-order.js")],
  ["/order-link", () => import("./shop/order-link.js")],
  ["/account", () => import("./shop/account.js")],
  ["/developers", () => import("./shop/developers.js")],
  ["/admin/*", () => import("./admin/index.js")],
];

const account = document.getElementById("account");
const cartButton = document.getElementById("cart");

function showAccount() {
  const { user } = session;
  replace(
    account,
    session.isStaff && link("/admin", "list", "Back office"),
    link("/orders", "box", "Orders"),
    user ? link("/account", "user", user.username) : link("/login", "user", "Sign in"),
  );
}

function link(path, iconName, text) {
  return h("a", { class: "site-link", href: linkTo(path) }, icon(iconName), h("span", null, text));
}

function showCount() {
  const count = cart.count ?? 0;
  cartButton.querySelector(".count").textContent = count > 99 ? "99+" : count || "";
  cartButton.setAttribute("aria-label", count ? `Cart, ${countOf(count, "item", "items")}` : "Cart, empty");
}

function listen() {
  session.addEventListener("change", showAccount);
  session.addEventListener("expired", () => toast("Your session expired. Sign in again to continue."));
  cart.addEventListener("change", showCount);
  cartButton.addEventListener("click", openCart);
  // The cart may have changed in another tab.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && cart.content) cart.refresh().catch(() => {});
  });
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    // The product list has its own listener; every other view opens the product list.
    const isProductList = /^\/(c\/.*)?$/.test(currentPath());
    const words = document.getElementById("search-field").value.trim();
    if (!isProductList && words) navigate("/", { q: words });
  });
  // The router takes every `#…` link for a route, so this one needs its own handler.
  document.querySelector(".skip-link").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
}

listen();
showAccount();
// A first-time visitor has no cart to fetch.
if (session.isKnown) cart.refresh().catch(() => {});
start(ROUTES, document.getElementById("main"));
