// The parts of pages that mail a link, or that a mailed link opens.
import { h, icon, replace } from "../lib/dom.js";
import { refill } from "../lib/feedback.js";
import { linkTo, setQuery } from "../lib/router.js";
import { accountForm } from "./account-forms.js";

/** Return the token of the link, and remove it from the address, so that it is not shared by accident. */
export function takeToken(query) {
  const token = query.get("token");
  if (token) setQuery({});
  return token ?? "";
}

/** Return a page with one card; `content` may be replaced later. */
export function cardPage(title, ...content) {
  return h(
    "div",
    { class: "narrow stack" },
    h("h1", null, title),
    h("div", { class: "card card-body stack" }, content),
  );
}

/**
 * Return a form that asks for a mail: `work` gets its values, and `sent` returns what the page says then.
 *
 * The text is the same whether or not there is such an account or order.
 */
export function mailForm(action, fields, work, sent) {
  const box = h("div", { class: "stack" });
  let values = null;
  const form = accountForm(
    action,
    fields,
    (given) => {
      values = given;
      return work(given);
    },
    () => refill(box, noteGood(sent(values)), h("p", { class: "faint" }, "Nothing arrived? Check your spam folder.")),
  );
  replace(box, form);
  return box;
}

/** Return a note that something succeeded. */
export function noteGood(text) {
  return h("p", { class: "note note-good", role: "status", tabindex: "-1" }, icon("check"), h("span", null, text));
}

/** Return a note that a link does not work, and a link to the page that mails a new one. */
export function noteBadLink(path, text) {
  return [
    h("p", { class: "note note-bad", role: "alert" }, icon("alert"), h("span", null, "This link does not work any more.")),
    h("a", { class: "button", href: linkTo(path) }, text),
  ];
}
