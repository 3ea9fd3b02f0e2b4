// The back office: who may come in, its side navigation, and which page stands at which address below `#/admin`.
import { h } from "../lib/dom.js";
import { emptyPanel, toast } from "../lib/feedback.js";
import { linkTo, navigate } from "../lib/router.js";
import { session } from "../lib/session.js";

// `:id` stands for one part of the address, which the page finds in `params.id`.
const PAGES = [
  ["", "Back office", () => import("./start.js")],
  ["orders", "Orders", () => import("./orders.js")],
  ["orders/:id", "Order", () => import("./order.js")],
  ["products", "Products", () => import("./products.js")],
  ["products/new", "New product", () => import("./new-product.js")],
  ["products/import", "Import products", () => import("./imports.js")],
  ["products/source", "Product source", () => import("./source.js")],
  ["products/:id", "Product", () => import("./product.js")],
  ["users", "Users", () => import("./users.js")],
  ["users/:id", "User", () => import("./user.js")],
  ["clients", "Programs", () => import("./clients.js")],
  ["payments", "Payments", () => import("./payments.js")],
  ["payments/ledger", "Ledger", () => import("./ledger.js")],
  ["payments/:id", "Payment", () => import("./payment.js")],
  ["logs", "Logs", () => import("./logs.js")],
  ["logs/live", "Live logs", () => import("./live.js")],
  ["services", "Services", () => import("./services.js")],
];
const NAVIGATION = [
  ["", "Overview"],
  ["orders", "Orders"],
  ["products", "Products"],
  ["users", "Users"],
  ["clients", "Programs"],
  ["payments", "Payments"],
  ["logs", "Logs"],
  ["services", "Services"],
];

export function title({ params }) {
  return findPage(params.rest)?.title ?? "Not found";
}

export async function view({ params, query, signal }) {
  await loadStyle();
  // Whoever signs out in another tab, or was gone for too long, sees the door again.
  session.addEventListener("change", () => navigate(findPath(params.rest), query), { signal });
  if (!session.isAdmin) return gate(params.rest);
  const page = findPage(params.rest);
  const content = page
    ? await (await page.load()).view({ params: { ...params, ...page.params }, query, signal })
    : [h("h1", null, "There is no such page"), h("p", null, h("a", { href: linkTo("/admin") }, "To the overview"))];
  return h("div", { class: "admin" }, navigation(params.rest ?? ""), h("div", { class: "admin-page" }, content));
}

function findPath(rest) {
  return rest ? `/admin/${rest}` : "/admin";
}

function findPage(rest) {
  const parts = (rest ?? "").split("/").filter(Boolean);
  for (const [pattern, title, load] of PAGES) {
    const names = pattern.split("/").filter(Boolean);
    const fits = names.length === parts.length && names.every((name, n) => name.startsWith(":") || name === parts[n]);
    if (!fits) continue;
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
        "This is for admins",
        `You are signed in as ${user.username}, who is no admin. Sign in as one to go on.`,
        button("Sign in as somebody else", () =>
          session.logOut().then(logIn, (problem) => toast(problem.message, { kind: "bad" })),
        ),
      )
    : emptyPanel(
        "This is for admins",
        "Here the people who run the shop work. Sign in as an admin to go on.",
        button("Sign in as an admin", logIn),
      );
  return h("div", null, h("h1", { class: "visually-hidden" }, "Back office"), panel);
}

let style;
/** Resolve once the back office's style sheet is there; nobody else has to fetch it. */
function loadStyle() {
  style ??= new Promise((resolve) => {
    const link = h("link", { rel: "stylesheet", href: "/assets/admin/admin.css", onload: resolve, onerror: resolve });
    document.head.append(link);
  });
  return style;
}
