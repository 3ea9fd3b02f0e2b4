// Small elements that several pages of the back office use.
import { h, icon, replace } from "../lib/dom.js";
import { formatTime } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { describeStatus, shortId } from "./labels.js";

/** Return a status as a badge. */
export function badge(status) {
  const [label, tone] = describeStatus(status);
  return h("span", { class: `badge badge-${tone}` }, label);
}

/** Return a time in the browser's locale, with the exact time as its title. */
export function moment(iso) {
  return h("time", { datetime: iso, title: iso }, formatTime(iso));
}

/** Return a link with a shortened id as its text. */
export function idLink(path, id) {
  return h("a", { class: "id", href: linkTo(path), title: id }, shortId(id));
}

/** Return a page's header: the link back, the heading with its badge, and the actions. */
export function pageHead(title, { back, status, actions } = {}) {
  return h(
    "header",
    { class: "page-head" },
    back && h("p", { class: "page-back" }, h("a", { href: linkTo(back.path) }, `← ${back.text}`)),
    h("div", { class: "page-title" }, h("h1", { tabindex: "-1" }, title), status),
    actions && h("div", { class: "page-actions" }, actions),
  );
}

/** Return an error note; screen readers announce it. */
export function errorNote(text) {
  return h("div", { class: "note note-bad", role: "alert" }, icon("alert"), h("p", null, text));
}

/** Run `work`, and show a Problem that it throws in `notice`. */
export async function showingProblem(notice, work) {
  replace(notice);
  try {
    await work();
  } catch (problem) {
    if (problem.name !== "Problem") throw problem;
    replace(notice, errorNote(problem.message));
  }
}

/** Return a card with a heading. */
export function card(title, ...content) {
  return h("section", { class: "card card-body", "aria-label": title }, h("h2", null, title), content);
}

/** Return a list of [name, value] pairs; those with null or undefined values are skipped. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}
