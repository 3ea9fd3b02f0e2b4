// The back office: access, navigation, and the routes below `#/admin`.
import { h } from "../lib/dom.js";
import { emptyPanel, toast } from "../lib/feedback.js";
import { linkTo, loadModule, navigate } from "../lib/router.js";
import { session } from "../lib/session.js";
import { may } from "./roles.js";

// The path, the title, the area that a role must be able to use, and the code of each page. `:id` matches one
// segment of the path; the page gets it as `params.id`.
const PAGES = [
  ["", "Back office", "overview", () => import("./overview.js")],
  ["orders", "Orders", "orders", () => import("./orders.js")],
  ["orders/:id", "Order", "orders", () => import("./order.js")],
  ["products", "Products", "products", () => import("./products.js")],
  ["products/new", "Add product", "products", () => import("./new-product.js")],
  ["products/import", "Import products", "products", () => import("./product-import.js")],
  ["products/source", "Product source", "products", () => import("./product-source.js")],
  ["products/:id", "Product", "products", () => import("./product.js")],
  ["categories", "Categories", "products", () => import("./categories.js")],
  ["pricing", "Shipping", "pricing", () => import("./shipping.js")],
  ["pricing/taxes", "Taxes", "pricing", () => import("./taxes.js")],
  ["pricing/coupons", "Coupons", "coupons", () => import("./coupons.js")],
  ["pricing/preview", "Price preview", "pricing", () => import("./preview.js")],
  ["users", "Users", "users", () => import("./users.js")],
  ["users/:id", "User", "users", () => import("./user.js")],
  ["mails", "Mails", "mails", () => import("./mails.js")],
  ["mails/:source/:id", "Mail", "mails", () => import("./mail.js")],
  ["clients", "API clients", "clients", () => import("./clients.js")],
  ["webhooks", "Webhooks", "webhooks", () => import("./webhooks.js")],
  ["webhooks/:id", "Webhook", "webhooks", () => import("./webhook.js")],
  ["payments", "Payments", "payments", () => import("./payments.js")],
  ["payments/ledger", "Ledger", "ledger", () => import("./ledger.js")],
  ["payments/:id", "Payment", "payments", () => import("./payment.js")],
  ["logs", "Logs", "logs", () => import("./logs.js")],
  ["logs/live", "Live logs", "logs", () => import("./live-logs.js")],
  ["services", "Services", "services", () => import("./services.js")],
];
// The sections, each with the first of its pages that the user may open.
const NAVIGATION = [
  ["", "Overview"],
  ["orders", "Orders"],
  ["products", "Products"],
  ["categories", "Categories"],
  ["pricing", "Pricing"],
  ["users", "Users"],
  ["mails", "Mails"],
  ["clients", "API clients"],
  ["webhooks", "Webhooks"],
  ["payments", "Payments"],
  ["logs", "Logs"],
  ["services", "Services"],
];

export function title({ params }) {
  const page = findPage(params.rest);
  if (!page) return "Not found";
  return session.isStaff && !may(page.area) ? "Not allowed" : page.title;
}

export async function view({ params, query, signal }) {
  await loadStyle();
  // The user may sign out in another tab, or the session may expire.
  session.addEventListener("change", () => navigate(findPath(params.rest), query), { signal });
  if (!session.isStaff) return gate(params.rest);
  const page = findPage(params.rest);
  let content;
  if (!page) content = missing("Page not found");
  else if (!may(page.area)) content = missing("Not allowed", `Your role, ${session.user.role}, cannot open this page.`);
  else content = await (await loadModule(page.load)).view({ params: { ...params, ...page.params }, query, signal });
  return h("div", { class: "admin" }, navigation(params.rest ?? ""), h("div", { class: "admin-page" }, content));
}

function missing(heading, text) {
  return [
    h("h1", null, heading),
    text && h("p", null, text),
    h("p", null, h("a", { href: linkTo("/admin") }, "Go to overview")),
  ];
}

function findPath(rest) {
  return rest ? `/admin/${rest}` : "/admin";
}

function findPage(rest) {
  const parts = (rest ?? "").split("/").filter(Boolean);
  for (const [pattern, title, area, load] of PAGES) {
    const names = pattern.split("/").filter(Boolean);
    const matches =
      names.length === parts.length && names.every((name, n) => name.startsWith(":") || name === parts[n]);
    if (!matches) continue;
    const params = names.flatMap((name, n) => (name.startsWith(":") ? [[name.slice(1), parts[n]]] : []));
    return { title, area, load, params: Object.fromEntries(params) };
  }
  return null;
}

function navigation(rest) {
  const section = rest.split("/")[0];
  const links = NAVIGATION.map(([name, text]) => {
    const first = PAGES.find(([pattern, , area]) => pattern.split("/")[0] === name && may(area));
    if (!first) return null;
    const [path, title] = first;
    const current = name === section && (path === rest ? "page" : "true");
    const link = { href: linkTo(findPath(path)), "aria-current": current };
    return h("li", null, h("a", link, path === name ? text : title));
  });
  return h("nav", { class: "admin-navigation", "aria-label": "Back office" }, h("ul", null, links));
}

function gate(rest) {
  const { user } = session;
  const logIn = () => navigate("/login", { next: findPath(rest) });
  const button = (text, onclick) => h("button", { class: "button button-primary", type: "button", onclick }, text);
  if (user?.totpRequired) {
    const turnOn = button("Turn it on", () => navigate("/account"));
    const hint = "Your account gets access to the back office once two-factor authentication is on.";
    return h(
      "div",
      null,
      h("h1", { class: "visually-hidden" }, "Back office"),
      emptyPanel("Two-factor authentication needed", hint, turnOn),
    );
  }
  const panel = user
    ? emptyPanel(
        "Staff only",
        `You are signed in as ${user.username}, which is not an account of the shop's staff.`,
        button("Switch account", () =>
          session.logOut().then(logIn, (problem) => toast(problem.message, { kind: "bad" })),
        ),
      )
    : emptyPanel("Staff only", "Sign in with a staff account to open the back office.", button("Sign in", logIn));
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
