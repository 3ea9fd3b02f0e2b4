// A table of a paged collection of the API.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { announce, emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { countOf } from "../lib/labels.js";
import { makeTable } from "./table.js";

/**
 * Return `{node, show(query)}` for the collection at `path`, or for the pages that `read(query, signal)`
 * resolves to. `columns` are those of makeTable; `noun` and `nouns` name a row; `empty` is the [title, hint] of
 * an empty list; `adapt(query, signal)` turns filters into query parameters, and `complete(rows, signal)` adds
 * to the rows of a page what other routes know.
 */
export function makeList({
  path,
  read = (query, signal) => call("GET", path, { query, signal }),
  caption,
  columns,
  noun,
  nouns = `${noun}s`,
  empty,
  signal,
  adapt = (query) => query,
  complete = (rows) => rows,
}) {
  const count = h("p", { class: "list-count faint", role: "status" });
  const room = h("div");
  let turn = new AbortController();

  async function show(query) {
    // The response to an older query may arrive after that to a newer one.
    turn.abort();
    turn = new AbortController();
    const both = AbortSignal.any([signal, turn.signal]);
    count.textContent = "";
    const fetchFirst = async () => {
      const adapted = await adapt(query, both);
      return { adapted, page: await fetchPage(adapted, null, both) };
    };
    await load(room, fetchFirst, ({ adapted, page }) => render(adapted, page, both), {
      skeleton: skeleton("rows", 8),
      signal: both,
    });
  }

  async function fetchPage(query, cursor, signal) {
    // An empty catalogue is a 204.
    const page = await read({ ...query, cursor }, signal);
    return page ? { ...page, data: await complete(page.data, signal) } : { data: [], next: null };
  }

  function render(query, page, signal) {
    if (!page.data.length) return emptyPanel(...empty);
    const table = makeTable(caption, columns);
    let { next } = page;
    let shown = page.data.length;
    table.show(page.data);
    const more = h(
      "button",
      { class: "button list-more", type: "button", onclick: showMore },
      icon("down"),
      "Show more",
    );
    showCount();

    function showCount() {
      more.hidden = !next;
      count.textContent = `${next ? "First " : ""}${countOf(shown, noun, nouns)}`;
    }
    async function showMore() {
      if (more.getAttribute("aria-disabled")) return;
      more.setAttribute("aria-disabled", "true");
      try {
        const following = await fetchPage(query, next, signal);
        ({ next } = following);
        shown += following.data.length;
        table.append(following.data);
        showCount();
        if (!next) announce(`All ${nouns} loaded.`);
      } catch (problem) {
        if (!signal.aborted) toast(problem.message, { kind: "bad", action: { label: "Try again", run: showMore } });
      } finally {
        more.removeAttribute("aria-disabled");
      }
    }
    return [table.node, more];
  }
  return { node: h("div", { class: "list" }, count, room), show };
}
