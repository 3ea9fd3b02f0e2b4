// The product list: search, filters, sorting and paging.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce, emptyPanel, problemPanel, refill, skeleton, toast } from "../lib/feedback.js";
import { toParams } from "../lib/http.js";
import { currentEntry, linkTo, setAddress, setTitle } from "../lib/router.js";
import { countOf } from "../lib/labels.js";
import { breadcrumb, productCard, productGrid } from "./cards.js";
import { categoryPath, remember, titleFromPath, traceCategory } from "./catalog.js";
import { filterChips, filterPanel, namesOfFilters } from "./filters.js";

export const title = "Shopfleet";

const PAGE = 24;
const DEBOUNCE = 250; // Milliseconds.
// The number of pictures in the first view; all others load lazily.
const EAGER = 8;
// Going back restores a list within this time, in milliseconds, for up to so many history entries.
const MAX_AGE = 300_000;
const MAX_LISTS = 20;
const SORTS = [
  ["", "Best match"],
  ["price", "Price, low to high"],
  ["-price", "Price, high to low"],
  ["rating", "Top rated"],
  ["newest", "Newest"],
  ["title", "Name"],
];

// The lists by the key of their history entry.
const lists = new Map();

export async function view({ params, query, signal }) {
  let wanted = readWanted(query, params.rest);
  let list = null;
  // What the API says about the category, if the list is of a single one.
  let category = null;
  let fetching = new AbortController();

  const way = h("div", { class: "way" });
  const heading = h("h1");
  const below = h("ul", { class: "below", "aria-label": "Subcategories" });
  const lead = h("p", { class: "lead faint" });
  const count = h("p", { class: "faint", id: "count" }, "\u00a0");
  const chips = h("div", { class: "chips" });
  const results = h("div", { class: "results" }, skeleton("cards", 12));
  const filters = filterPanel(apply);
  const toggle = h(
    "button",
    {
      class: "button button-small filter-toggle",
      type: "button",
      "aria-expanded": "false",
      "aria-controls": "filters",
      onclick: toggleFilters,
    },
    icon("filter"),
    "Filters",
  );
  const sort = h(
    "select",
    { id: "sort", value: wanted.get("sort") ?? "", onchange: () => apply({ sort: sort.value }) },
    SORTS.map(([value, text]) => h("option", { value }, text)),
  );
  const layout = h(
    "div",
    { class: "shop" },
    h("header", { class: "shop-header" }, way, heading, lead, below),
    h(
      "div",
      { class: "toolbar" },
      count,
      h(
        "div",
        { class: "row" },
        toggle,
        h("label", { class: "row small sort" }, h("span", null, "Sort by"), sort),
      ),
    ),
    filters.element,
    h("div", { class: "stack" }, chips, results),
  );

  function toggleFilters() {
    const isOpen = layout.classList.toggle("shop-filtering");
    toggle.setAttribute("aria-expanded", String(isOpen));
  }

  /** Change the query parameters and fetch the list. */
  function apply(changes) {
    wanted = readWanted(toParams({ ...toObject(wanted), ...changes }));
    category = null;
    showAddress();
    if (changes.q === null) setField("");
    fetchFirst();
  }

  // A list of a single category has the address of the category, with the other filters as its query.
  function showAddress() {
    const rest = new URLSearchParams(wanted);
    rest.delete("category");
    if (isOfOneCategory()) setAddress(categoryPath(wanted.get("category")), rest);
    else setAddress("/", wanted);
  }

  function isOfOneCategory() {
    return wanted.getAll("category").length === 1;
  }

  /** Fetch the titles of the category and of those above and below it, and its path if it has moved. */
  async function fetchCategory(mine) {
    if (!isOfOneCategory()) return null;
    const path = categoryPath(wanted.get("category")).replace("/c/", "/categories/");
    try {
      return await call("GET", path, { signal: mine });
    } catch (problem) {
      // The list works without it; an unknown category has no products.
      if (problem.name !== "Problem") throw problem;
      return null;
    }
  }

  async function fetchFirst() {
    fetching.abort();
    fetching = new AbortController();
    const mine = AbortSignal.any([signal, fetching.signal]);
    results.setAttribute("aria-busy", "true");
    describeWanted();
    try {
      const query = toParams({ ...toObject(wanted), limit: PAGE, facets: "true" });
      const [found, answer] = await Promise.all([
        fetchCategory(mine),
        call("GET", "/products", { query, signal: mine }),
      ]);
      mine.throwIfAborted();
      category = found;
      if (category && category.path !== wanted.get("category")) {
        apply({ category: category.path });
        return;
      }
      const page = answer ?? { data: [], next: null };
      list = {
        key: wanted.toString(),
        products: page.data,
        next: page.next,
        facets: page.facets,
        corrected: page.corrected,
        category,
      };
      show();
      announce(describeCount());
    } catch (problem) {
      if (mine.aborted) return;
      list = null;
      count.textContent = "\u00a0";
      if (filters.element.querySelector(".skeleton")) replace(filters.element);
      refill(results, problemPanel(problem, fetchFirst));
    } finally {
      if (!mine.aborted) results.removeAttribute("aria-busy");
    }
  }

  async function fetchMore(button) {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      const query = toParams({ ...toObject(wanted), limit: PAGE, cursor: list.next });
      const page = await call("GET", "/products", {
        query,
        signal: AbortSignal.any([signal, fetching.signal]),
      });
      remember(page.data);
      list = { ...list, products: [...list.products, ...page.data], next: page.next };
      keep(list);
      const cards = page.data.map((product) => productCard(product));
      results.querySelector(".products").append(...cards);
      cards[0]?.querySelector("h2 a").focus({ preventScroll: true });
      showRest();
    } catch (problem) {
      if (problem.name !== "AbortError") toast(problem.message, { kind: "bad" });
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  function show() {
    remember(list.products);
    keep(list);
    describeWanted();
    if (list.facets) filters.update(wanted, list.facets);
    refill(
      results,
      list.products.length ? productGrid(list.products, { eager: EAGER }) : noResults(),
      h("div", { class: "rest" }),
    );
    showRest();
  }

  function showRest() {
    count.textContent = describeCount();
    const more =
      list.next &&
      h(
        "button",
        { class: "button", type: "button", onclick: ({ currentTarget }) => fetchMore(currentTarget) },
        "Show more",
      );
    replace(results.querySelector(".rest"), more);
  }

  function noResults() {
    const filtering = namesOfFilters(wanted);
    const isFiltered = filtering.some((name) => wanted.has(name));
    const clear = () => apply(Object.fromEntries([...filtering, "q"].map((name) => [name, null])));
    const action =
      [...wanted.keys()].length > 0 &&
      h("button", { class: "button", type: "button", onclick: clear }, "Show all products");
    if (isFiltered)
      return emptyPanel("No products match these filters", "Remove a filter to see more.", action);
    return emptyPanel("No results", "Check the spelling or try a more general search.", action);
  }

  function describeWanted() {
    const words = wanted.get("q");
    const categories = wanted.getAll("category");
    const name = words
      ? `Results for “${words}”`
      : categories.length
        ? categories.map((path) => titleOf(path)).join(", ")
        : null;
    showPlace();
    heading.textContent = name ?? "Good things, made to last";
    setTitle(name ?? title);
    if (words && list?.corrected && list.key === wanted.toString()) {
      const { corrected } = list;
      replace(
        lead,
        "Also showing results for ",
        h(
          "button",
          {
            class: "button-link",
            type: "button",
            onclick: () => (setField(corrected), apply({ q: corrected })),
          },
          corrected,
        ),
        ".",
      );
    } else {
      replace(lead, name ? "" : "For your kitchen, desk, garden and travels. You need no account to buy.");
    }
    // A search keeps the space, because it may show a correction later.
    lead.hidden = Boolean(name && !words);
    replace(chips, filterChips(wanted, apply, titleOf));
    const number = namesOfFilters(wanted).reduce((sum, each) => sum + wanted.getAll(each).length, 0);
    replace(toggle, icon("filter"), number ? `Filters (${number})` : "Filters");
    sort.options[0].textContent = words ? "Best match" : "Featured";
  }

  function titleOf(path) {
    if (category?.path === path) return category.title;
    return list?.facets?.categories.find(({ name }) => name === path)?.title ?? titleFromPath(path);
  }

  /** Show the way to the category, and the categories below it. */
  function showPlace() {
    const path = isOfOneCategory() ? wanted.get("category") : null;
    const above = category?.breadcrumbs ?? (path ? traceCategory(path) : []);
    replace(way, path !== null && breadcrumb(above.slice(0, -1)));
    replace(
      below,
      category?.children.map((child) =>
        h("li", null, h("a", { class: "chip", href: linkTo(categoryPath(child.path)) }, child.title)),
      ),
    );
    way.hidden = path === null;
    below.hidden = !category?.children.length;
  }

  function describeCount() {
    const { products, next, facets } = list;
    const chosen = wanted.getAll("category");
    const counts = facets?.categories.filter(({ name }) => !chosen.length || chosen.includes(name)) ?? [];
    // A category counts what is below it.
    const roots = counts.filter(({ name }) => !counts.some((other) => name.startsWith(`${other.name}/`)));
    const total = roots.reduce((sum, each) => sum + each.count, 0);
    if (!next) return countOf(products.length, "product", "products");
    return facets?.exact && total >= products.length
      ? `${products.length} of ${total} products`
      : `First ${products.length} products`;
  }

  if (isOfOneCategory()) showAddress();
  listenToSearch((q) => q !== (wanted.get("q") ?? "") && apply({ q }), wanted.get("q") ?? "", signal);
  const kept = lists.get(currentEntry());
  describeWanted();
  if (kept?.key === wanted.toString() && Date.now() - kept.at < MAX_AGE) {
    list = kept;
    category = kept.category;
    show();
  } else {
    fetchFirst();
  }
  return layout;
}

function keep(list) {
  lists.delete(currentEntry());
  lists.set(currentEntry(), { ...list, at: Date.now() });
  if (lists.size > MAX_LISTS) lists.delete(lists.keys().next().value);
}

function readWanted(query, category) {
  const wanted = new URLSearchParams();
  if (category) wanted.append("category", category);
  for (const name of ["q", "sort", ...namesOfFilters(query)])
    for (const value of query.getAll(name)) if (value) wanted.append(name, value);
  return wanted;
}

function toObject(params) {
  return Object.fromEntries([...new Set(params.keys())].map((name) => [name, params.getAll(name)]));
}

// The search field is in the header of every page; on this page it searches while the customer types.
function listenToSearch(search, words, signal) {
  setField(words);
  let typing = new AbortController();
  const field = document.getElementById("search-field");
  field.addEventListener(
    "input",
    async () => {
      typing.abort();
      typing = new AbortController();
      try {
        await wait(DEBOUNCE, AbortSignal.any([signal, typing.signal]));
        search(field.value.trim());
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    },
    { signal },
  );
  field.form.addEventListener(
    "submit",
    () => {
      typing.abort();
      search(field.value.trim());
    },
    { signal },
  );
  signal.addEventListener("abort", () => setField(""), { once: true });
}

function setField(words) {
  document.getElementById("search-field").value = words;
}
