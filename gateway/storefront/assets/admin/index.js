// The back office: access, navigation, and the routes below `#/admin`.
import { h } from "../lib/dom.js";
import { emptyPanel, toast } from "../lib/feedback.js";
import { linkTo, loadModule, navigate } from "../lib/router.js";
import { session } from "../lib/session.js";

// `:id` matches one segment of the path; the page gets it as `params.id`.
const PAGES = [
  ["", "Back office", () => import("./overview.js")],
  ["orders", "Orders", () => import("./orders.js")],
  ["orders/:id", "Order", () => import("./order.js")],
  ["products", "Products", () => import("./products.js")],
  ["products/new", "Add product", () => import("./new-product.js")],
  ["products/import", "Import products", () => import("./product-import.js")],
  ["products/source", "Product source", () => import("./product-source.js")],
  ["products/:id", "Product", () => import("./product.js")],
  ["categories", "Categories", () => import("./categories.js")],
  ["pricing", "Shipping", () => import("./shipping.js")],
  ["pricing/taxes", "Taxes", () => import("./taxes.js")],
  ["pricing/coupons", "Coupons", () => import("./coupons.js")],
  ["pricing/preview", "Price preview", () => import("./preview.js")],
  ["users", "Users", () => import("./users.js")],
  ["users/:id", "User", () => import("./user.js")],
  ["clients", "API clients", () => import("./clients.js")],
  ["webhooks", "Webhooks", () => import("./webhooks.js")],
  ["webhooks/:id", "Webhook", () => import("./webhook.js")],
  ["payments", "Payments", () => import("./payments.js")],
  ["payments/ledger", "Ledger", () => import("./ledger.js")],
  ["payments/:id", "Payment", () => import("./payment.js")],
  ["logs", "Logs", () => import("./logs.js")],
  ["logs/live", "Live logs", () => import("./live-logs.js")],
  ["services", "Services", () => import("./services.js")],
];
const NAVIGATION = [
  ["", "Overview"],
  ["orders", "Orders"],
  ["products", "Products"],
  ["categories", "Categories"],
  ["pricing", "Pricing"],
  ["users", "Users"],
  ["clients", "API clients"],
  ["webhooks", "Webhooks"],
  ["payments", "Payments"],
  ["logs", "Logs"],
  ["services", "Services"],
];

export function title({ params }) {
  return findPage(params.rest)?.title ?? "Not found";
}

export async function view({ params, query, signal }) {
  await loadStyle();
  // The user may sign out in another tab, or the session may expire.
  session.addEventListener("change", () => navigate(findPath(params.rest), query), { signal });
  if (!session.isAdmin) return gate(params.rest);
  const page = findPage(params.rest);
  const content = page
    ? await (await loadModule(page.load)).view({ params: { ...params, ...page.params }, query, signal })
    : [h("h1", null, "Page not found"), h("p", null, h("a", { href: linkTo("/admin") }, "Go to overview"))];
  return h("div", { class: "admin" }, navigation(params.rest ?? ""), h("div", { class: "admin-page" }, content));
}

function findPath(rest) {
  return rest ? `/admin/${rest}` : "/admin";
}

function findPage(rest) {
  const parts = (rest ?? "").split("/").filter(Boolean);
  for (const [pattern, title, load] of PAGES) {
    const names = pattern.split("/").filter(Boolean);
    const matches =
      names.length === parts.length && names.every((name, n) => name.startsWith(":") || name === parts[n]);
    if (!matches) continue;
    const params = names.flatMap((name, n) => (name.startsWith(":") ? [[name.slice(1), parts[n]]] : []));
    return { title, load, params: Object.fromEntries(params) };
  }
  return null;
}

function navigation(rest) {
  const section = rest.split("/")[0];
  const links = NAVIGATION.map(([path, text]) => {
    const current = path === section && (path === rest ? "page" : "true");
    return h("li", null, h("a", { href: linkTo(findPath(path)), "aria-current": current }, text));
  });
  return h("nav", { class: "admin-navigation", "aria-label": "Back office" }, h("ul", null, links));
}

function gate(rest) {
  const { user } = session;
  const logIn = () => navigate("/login", { next: findPath(rest) });
  const button = (text, onclick) => h("button", { class: "button button-primary", type: "button", onclick }, text);
  const panel = user
    ? emptyPanel(
        "Admins only",
        `You are signed in as ${user.username}, which is not an admin account.`,
        button("Switch account", () =>
          session.logOut().then(logIn, (problem) => toast(problem.message, { kind: "bad" })),
        ),
      )
    : emptyPanel("Admins only", "Sign in as an admin to open the back office.", button("Sign in", logIn));
  return h("div", null, h("h1", { class: "visually-hidden" }, "Back office"), panel);
}

let style;
/** Load the style sheet of the back office, which customers do not need. */
function loadStyle() {
  style ??= new Promise((resolve) => {
    const link = h("link", { rel: "stylesheet", href: "/assets/admin/admin.css", onload: resolve, onerror: resolve });
    document.head.append(link);
  });
  return style;
}
