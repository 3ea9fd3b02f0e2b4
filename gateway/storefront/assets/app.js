// The table of views, and what stands around each of them.
import { h, icon, replace } from "./lib/dom.js";
import { toast } from "./lib/feedback.js";
import { linkTo, start } from "./lib/router.js";
import { session } from "./lib/session.js";

const ROUTES = [
  ["/", () => import("./shop/products.js")],
  ["/admin/*", () => import("./admin/index.js")],
];

function showNavigation() {
  replace(
    document.getElementById("site-nav"),
    session.isAdmin && h("a", { class: "button button-quiet", href: linkTo("/admin") }, "Back office"),
    h(
      "a",
      { class: "button button-quiet", href: linkTo(session.user ? "/account" : "/login") },
      icon("user"),
      session.user ? session.user.username : "Sign in",
    ),
  );
}

session.addEventListener("change", showNavigation);
session.addEventListener("expired", () => toast("You were signed out, because you had not been here for a while."));
showNavigation();
// `#…` is the address of a view here, so this link is followed by hand.
document.querySelector(".skip-link").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
start(ROUTES, document.getElementById("main"));
