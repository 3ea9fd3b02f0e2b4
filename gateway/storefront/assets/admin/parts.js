// Small pieces that many pages of the back office have in common.
import { h, icon } from "../lib/dom.js";
import { formatTime } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { describeStatus, shortId } from "./words.js";

/** Return a status as a coloured word. */
export function badge(status) {
  const [word, tone] = describeStatus(status);
  return h("span", { class: `badge badge-${tone}` }, word);
}

/** Return a moment as people write it; the exact one is in its title. */
export function moment(iso) {
  return h("time", { datetime: iso, title: iso }, formatTime(iso));
}

/** Return a link to what an id stands for, by the end of the id. */
export function idLink(path, id) {
  return h("a", { class: "id", href: linkTo(path), title: id }, shortId(id));
}

/** Return a page's head: the way back, the heading, and what can be done from here. */
export function pageHead(title, { back, mark, actions } = {}) {
  return h(
    "header",
    { class: "page-head" },
    back && h("p", { class: "page-back" }, h("a", { href: linkTo(back.path) }, `← ${back.text}`)),
    h("div", { class: "page-title" }, h("h1", { tabindex: "-1" }, title), mark),
    actions && h("div", { class: "page-actions" }, actions),
  );
}

/** Return a note that something was refused, or went wrong; it is read out at once. */
export function refusalNote(text) {
  return h("div", { class: "note note-bad", role: "alert" }, icon("alert"), h("p", null, text));
}

/** Return a card with a heading of its own. */
export function card(title, ...content) {
  return h("section", { class: "card card-body", "aria-label": title }, h("h2", null, title), content);
}

/** Return a list of names and what they are; whoever is null is left out. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}
