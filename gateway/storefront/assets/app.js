// The table of views, and what stands around each of them.
import { h, icon, replace } from "./lib/dom.js";
import { toast } from "./lib/feedback.js";
import { linkTo, navigate, start } from "./lib/router.js";
import { session } from "./lib/session.js";
import { countOf } from "./lib/words.js";
import { cart } from "./shop/cart.js";
import { openCart } from "./shop/drawer.js";

const ROUTES = [
  ["/", () => import("./shop/products.js")],
  ["/products/:id", () => import("./shop/product.js")],
  ["/checkout", () => import("./shop/checkout.js")],
  ["/orders", () => import("./shop/orders.js")],
  ["/orders/:id", () => import("./shop/order.js")],
  ["/login", () => import("./shop/login.js")],
  ["/account", () => import("./shop/account.js")],
  ["/developers", () => import("./shop/developers.js")],
  ["/admin/*", () => import("./admin/index.js")],
];

const account = document.getElementById("account");
const basket = document.getElementById("cart");

function showAccount() {
  const { user } = session;
  replace(
    account,
    session.isAdmin && link("/admin", "list", "Back office"),
    link("/orders", "box", "Orders"),
    user ? link("/account", "user", user.username) : link("/login", "user", "Sign in"),
  );
}

function link(path, drawing, text) {
  return h("a", { class: "site-link", href: linkTo(path) }, icon(drawing), h("span", null, text));
}

function showCount() {
  const count = cart.count ?? 0;
  basket.querySelector(".count").textContent = count > 99 ? "99+" : count || "";
  basket.setAttribute("aria-label", count ? `Cart, ${countOf(count, "item", "items")}` : "Cart, empty");
}

function listen() {
  session.addEventListener("change", showAccount);
  session.addEventListener("expired", () =>
    toast("You were signed out, because you had not been here for a while."),
  );
  cart.addEventListener("change", showCount);
  basket.addEventListener("click", openCart);
  // Other tabs fill the cart, too.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && cart.content) cart.refresh().catch(() => {});
  });
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    // On the products' own page the view searches; from any other one leads there.
    const isThere = /^#?(\/(\?.*)?)?$/.test(location.hash);
    const words = document.getElementById("search-field").value.trim();
    if (!isThere && words) navigate("/", { q: words });
  });
  // `#…` is the address of a view here, so this link is followed by hand.
  document.querySelector(".skip-link").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
}

listen();
showAccount();
// Whoever comes for the first time has nothing in the cart, and need not wait for that to be said.
if (session.isKnown) cart.refresh().catch(() => {});
start(ROUTES, document.getElementById("main"));
