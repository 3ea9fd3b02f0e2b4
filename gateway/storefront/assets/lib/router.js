// The router. Products and categories have addresses of their own, `/p/SLUG` and `/c/PATH`, which the server
// also answers for readers without scripts. The fragment selects any other view: `/#/orders`.
import { h, replace } from "./dom.js";
import { announce, problemPanel } from "./feedback.js";
import { toParams, withQuery } from "./http.js";

const SHOP = "Shopfleet";
const PAGES = /^\/[pc]\//;
// What the server says about its page; it no longer holds after the first view.
const SERVED = 'link[rel="canonical"], meta[property^="og:"], meta[name="robots"], script[type="application/ld+json"]';
const SCROLL_POSITIONS = "shopfleet.places";
let outlet;
let table = [];
let leaving = new AbortController();
// The scroll position of each history entry.
let positions = {};
let entry = null;
// The address of the view that is shown or loading.
let shown = null;
// Whether the current view is rendered and its title announced.
let isSettled = false;

/** Return the URL of a view: `linkTo("/orders")`. */
export function linkTo(path, query) {
  const address = withQuery(path, query);
  return PAGES.test(path) ? address : `/#${address}`;
}

/** Open a view; `{replace: true}` replaces the current history entry. */
export function navigate(path, query, { replace: instead = false } = {}) {
  openAddress(linkTo(path, query), instead);
}

/** Change the address of the current view without rendering it again. */
export function setAddress(path, query) {
  history.replaceState(history.state, "", linkTo(path, query));
  shown = location.href;
}

/** Change the query of the current view without rendering it again. */
export function setQuery(query) {
  setAddress(currentPath(), query);
}

/** Return the path of the current view. */
export function currentPath() {
  return readAddress().path;
}

/** Set the title of the current view. */
export function setTitle(title) {
  const before = document.title;
  document.title = title === SHOP ? SHOP : `${title} · ${SHOP}`;
  if (isSettled && document.title !== before) announce(document.title);
}

/** Return the key of the current history entry; going back restores it. */
export function currentEntry() {
  return entry;
}

/**
 * Show the view for the URL, now and on each change.
 *
 * `routes` is a list of [pattern, () => import(module)]; a pattern is a path such as `/products/:id`, or
 * `/admin/*`, which matches `/admin` and all paths below (`params.rest`). A module exports `title` (text or a
 * function of the context) and `view({params, query, signal})`, which resolves to a node. `query` is
 * URLSearchParams; `signal` aborts when the visitor leaves the view.
 */
export function start(routes, element) {
  outlet = element;
  table = routes.map(([pattern, module]) => [compile(pattern), module]);
  positions = JSON.parse(sessionStorage.getItem(SCROLL_POSITIONS) ?? "{}");
  history.scrollRestoration = "manual";
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
  document.addEventListener("click", followLink);
  addEventListener("scroll", () => entry && (positions[entry] = scrollY), { passive: true });
  addEventListener("pagehide", () => sessionStorage.setItem(SCROLL_POSITIONS, JSON.stringify(positions)));
  return show({ first: true });
}

function compile(pattern) {
  const source = pattern.replace(/\/\*$/, "(?:/(?<rest>.*))?").replace(/:(\w+)/g, "(?<$1>[^/]+)");
  return new RegExp(`^${source}$`);
}

// Open an address of the shop without loading the page again.
function openAddress(address, instead = false) {
  if (new URL(address, location.href).href !== location.href) {
    if (instead) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
  }
  show();
}

// A change of the fragment causes both events.
function follow() {
  if (location.href !== shown) show();
}

function followLink(event) {
  const link = event.target.closest?.("a[href]");
  const isPlain = !event.button && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  const { href, origin, pathname, search } = new URL(link.href);
  const isView = PAGES.test(pathname) || (pathname === "/" && !search);
  if (origin !== location.origin || !isView) return;
  event.preventDefault();
  openAddress(href);
}

function readAddress() {
  if (PAGES.test(location.pathname)) {
    return { path: location.pathname, query: new URLSearchParams(location.search) };
  }
  const [path, query = ""] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  return { path: path || "/", query: toParams(new URLSearchParams(query)) };
}

async function show({ first = false } = {}) {
  leaving.abort();
  // A fragment that a script or the visitor sets on the page of a product.
  if (PAGES.test(location.pathname) && location.hash.startsWith("#/")) {
    history.replaceState(history.state, "", `/${location.hash}`);
  }
  if (location.href !== shown) dispatchEvent(new CustomEvent("shopfleet:leave"));
  shown = location.href;
  if (!first) for (const element of document.head.querySelectorAll(SERVED)) element.remove();
  leaving = new AbortController();
  isSettled = false;
  const { signal } = leaving;
  const returns = enter();
  const { path, query } = readAddress();
  const [match, load] = findRoute(path);
  const params = Object.fromEntries(
    Object.entries(match?.groups ?? {}).map(([name, value]) => [name, value && decodeURIComponent(value)]),
  );
  const context = { params, query, signal };
  const slow = setTimeout(() => outlet.classList.add("is-loading"), 150);
  let node;
  try {
    const module = load ? await loadModule(load) : NOT_FOUND;
    if (signal.aborted) return;
    setTitle(typeof module.title === "function" ? module.title(context) : module.title);
    node = await module.view(context);
  } catch (problem) {
    if (signal.aborted) return;
    const isKnown = problem.name === "Problem" || problem instanceof NotLoaded;
    if (!isKnown) console.error(problem);
    const retry = problem instanceof NotLoaded ? () => reloadIfReachable().then(() => show()) : () => show();
    node = problemPanel(isKnown ? problem : new Error(NOT_LOADED), retry, "h1");
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) outlet.classList.remove("is-loading");
  }
  if (signal.aborted) return;
  replace(outlet, node);
  settle(first, returns);
  dispatchEvent(new CustomEvent("shopfleet:view", { detail: { path } }));
}

class NotLoaded extends Error {}

/**
 * Load the code of a view. The usual cause of a failure is a network change, after which a second attempt would
 * succeed, but a browser remembers a module that failed, so only a new page loads it. Throws NotLoaded.
 */
export async function loadModule(load) {
  try {
    return await load();
  } catch (problem) {
    console.warn(problem);
    await new Promise((resolve) => setTimeout(resolve, RELOAD_AFTER));
    const [visit] = performance.getEntriesByType("navigation");
    if (visit?.type !== "reload") await reloadIfReachable();
    throw new NotLoaded(NOT_LOADED);
  }
}

/** Reload the page; without the shop, that would show the browser's own error page, so nothing happens. */
async function reloadIfReachable() {
  const answer = await fetch("/", { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return;
  location.reload();
  // The page ends here.
  await new Promise(() => {});
}

// Give the history entry a key; return whether it had one because it was shown before.
function enter() {
  const known = history.state?.entry;
  entry = known ?? `${Date.now()}.${Math.random()}`;
  if (!known) history.replaceState({ entry }, "");
  return Boolean(known);
}

function settle(first, returns) {
  isSettled = true;
  scrollTo(0, returns ? (positions[entry] ?? 0) : 0);
  if (first) return;
  const heading = outlet.querySelector("h1");
  announce(document.title);
  if (outlet.contains(document.activeElement) && document.activeElement !== outlet) return;
  heading?.setAttribute("tabindex", "-1");
  (heading ?? outlet).focus({ preventScroll: true });
}

function findRoute(path) {
  try {
    decodeURIComponent(path);
  } catch {
    // An invalid escape, as in `/products/50%`, matches no route.
    return [null, null];
  }
  for (const [pattern, load] of table) {
    const match = pattern.exec(path);
    if (match) return [match, load];
  }
  return [null, null];
}

const RELOAD_AFTER = 1000; // Milliseconds.
const NOT_LOADED = "Check your connection and try again.";
const NOT_FOUND = {
  title: "Not found",
  async view() {
    return h(
      "div",
      { class: "panel" },
      h("h1", null, "Page not found"),
      h("p", null, "The page may have moved, or the address may be wrong."),
      h("a", { class: "button button-primary", href: linkTo("/") }, "Continue shopping"),
    );
  },
};
