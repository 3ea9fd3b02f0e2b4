// Which view is shown: the address after the `#` says it, since the gateway knows but one page.
import { h, replace } from "./dom.js";
import { announce, problemPanel } from "./feedback.js";
import { toParams, withQuery } from "./http.js";

const SHOP = "Shopfleet";
const PLACES = "shopfleet.places";
let outlet;
let table = [];
let leaving = new AbortController();
// Where the reader was on each page of the history.
let places = {};
let entry = null;
// Whether the view at hand is in the page, and its title was said aloud.
let isSettled = false;

/** Return the address of a view, for a link: `linkTo("/products/12")`. */
export function linkTo(path, query) {
  return `#${withQuery(path, query)}`;
}

/** Go to a view; with `{replace: true}` the way back leads past the one at hand. */
export function navigate(path, query, { replace: instead = false } = {}) {
  const address = linkTo(path, query);
  if (address === location.hash) show();
  else if (instead) location.replace(address);
  else location.hash = address;
}

/** Change the query of the view at hand; the view stays, and is not called again. */
export function setQuery(query) {
  const { path } = readAddress();
  history.replaceState(history.state, "", linkTo(path, query));
}

/** Say what the view is about, once that is known. */
export function setTitle(title) {
  const before = document.title;
  document.title = title === SHOP ? SHOP : `${title} · ${SHOP}`;
  if (isSettled && document.title !== before) announce(document.title);
}

/** Return the name of the page at hand in the history: whoever comes back to it finds it unchanged. */
export function currentEntry() {
  return entry;
}

/**
 * Show the view that the address names, now and whenever it changes.
 *
 * `routes` is a list of [pattern, () => import(module)]; a pattern is a path such as `/products/:id`, or `/admin/*`,
 * which takes `/admin` and all below (`params.rest`). A module exports `title` (text or a function of the context) and
 * `view({params, query, signal})`, which resolves to a node; `query` is URLSearchParams, `signal` aborts on leaving.
 */
export function start(routes, element) {
  outlet = element;
  table = routes.map(([pattern, module]) => [compile(pattern), module]);
  places = JSON.parse(sessionStorage.getItem(PLACES) ?? "{}");
  history.scrollRestoration = "manual";
  addEventListener("hashchange", () => show());
  addEventListener("scroll", () => entry && (places[entry] = scrollY), { passive: true });
  addEventListener("pagehide", () => sessionStorage.setItem(PLACES, JSON.stringify(places)));
  return show({ first: true });
}

function compile(pattern) {
  const source = pattern.replace(/\/\*$/, "(?:/(?<rest>.*))?").replace(/:(\w+)/g, "(?<$1>[^/]+)");
  return new RegExp(`^${source}$`);
}

function readAddress() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split(/\?(.*)/s);
  return { path: path || "/", query: toParams(new URLSearchParams(query)) };
}

async function show({ first = false } = {}) {
  leaving.abort();
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
    const module = load ? await load() : NOT_FOUND;
    if (signal.aborted) return;
    setTitle(typeof module.title === "function" ? module.title(context) : module.title);
    node = await module.view(context);
  } catch (problem) {
    if (signal.aborted) return;
    // Mostly a part of the page that could not be fetched; nothing else of this kind should come here.
    if (problem.name !== "Problem") console.error(problem);
    node = problemPanel(problem.name === "Problem" ? problem : new Error(UNREADABLE), () => show(), "h1");
  } finally {
    clearTimeout(slow);
    if (!signal.aborted) outlet.classList.remove("is-loading");
  }
  if (signal.aborted) return;
  replace(outlet, node);
  settle(first, returns);
  dispatchEvent(new CustomEvent("shopfleet:view", { detail: { path } }));
}

// Give the page a name in the history; return whether it had one, because it was shown before.
function enter() {
  const known = history.state?.entry;
  entry = known ?? `${Date.now()}.${Math.random()}`;
  if (!known) history.replaceState({ entry }, "");
  return Boolean(known);
}

function settle(first, returns) {
  isSettled = true;
  scrollTo(0, returns ? (places[entry] ?? 0) : 0);
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
    // A broken escape, as in `/products/50%`, is in no address of ours.
    return [null, null];
  }
  for (const [pattern, load] of table) {
    const match = pattern.exec(path);
    if (match) return [match, load];
  }
  return [null, null];
}

const UNREADABLE = "This page could not be loaded. Check your connection and try again.";
const NOT_FOUND = {
  title: "Not found",
  async view() {
    return h(
      "div",
      { class: "panel panel-empty" },
      h("h1", null, "There is no such page"),
      h("p", null, "The address may be misspelt, or the page has moved."),
      h("a", { class: "button button-primary", href: linkTo("/") }, "Go to the shop"),
    );
  },
};
