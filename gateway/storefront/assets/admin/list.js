// A list that the shop gives out page by page.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { announce, emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { makeTable } from "./table.js";

/**
 * Make a list of what `GET path` answers. `columns` are those of a table; `nouns` is [one, many]; `empty` is [title,
 * hint] for when there is nothing; `adapt(query, signal)` makes of the filters what is asked for.
 *
 * Returns `{node, show(query)}`; with `onPage(rows)`, all rows that are shown are passed on whenever there are more.
 */
export function makeList({ path, caption, columns, nouns, empty, signal, adapt = (query) => query, onPage }) {
  const count = h("p", { class: "list-count faint", role: "status" });
  const room = h("div");
  let turn = new AbortController();

  async function show(query) {
    // The answer to an older question may come after the one to a newer.
    turn.abort();
    turn = new AbortController();
    const both = AbortSignal.any([signal, turn.signal]);
    count.textContent = "";
    const fetchFirst = async () => {
      const asked = await adapt(query, both);
      return { asked, page: await fetchPage(asked, null, both) };
    };
    await load(room, fetchFirst, ({ asked, page }) => render(asked, page, both), {
      skeleton: skeleton("rows", 8),
      signal: both,
    });
  }

  async function fetchPage(asked, cursor, signal) {
    // An empty catalogue is answered with 204.
    return (await call("GET", path, { query: { ...asked, cursor }, signal })) ?? { data: [], next: null };
  }

  function render(asked, page, signal) {
    if (!page.data.length) return emptyPanel(...empty);
    const table = makeTable(caption, columns);
    const rows = [...page.data];
    let { next } = page;
    table.show(rows);
    const more = h(
      "button",
      { class: "button list-more", type: "button", onclick: showMore },
      icon("down"),
      "Show more",
    );
    tell();

    function tell() {
      more.hidden = !next;
      count.textContent = `${formatNumber(rows.length)} ${nouns[rows.length === 1 ? 0 : 1]}${next ? "; there are more" : ""}`;
      onPage?.(rows);
    }
    async function showMore() {
      if (more.getAttribute("aria-disabled")) return;
      more.setAttribute("aria-disabled", "true");
      try {
        const following = await fetchPage(asked, next, signal);
        ({ next } = following);
        rows.push(...following.data);
        table.append(following.data);
        tell();
        if (!next) announce("That is all.");
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
