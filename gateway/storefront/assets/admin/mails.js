// The mails of all services, newest first.
import { h, replace } from "../lib/dom.js";
import { filterBar } from "./filter-bar.js";
import { makeList } from "./list.js";
import { aboutLink, keptNote, linkToMail, MAIL_STATES, nameMail, readMails } from "./mailbox.js";
import { badge, moment, pageHead } from "./parts.js";
import { describeStatus } from "./labels.js";

const FILTERS = [
  {
    name: "state",
    label: "Status",
    type: "select",
    options: [["", "Any"], ...MAIL_STATES.map((state) => [state, describeStatus(state)[0]])],
  },
];
const COLUMNS = [
  {
    title: "Mail",
    kind: "main",
    cell: (mail) => h("a", { class: "value", href: linkToMail(mail) }, nameMail(mail)),
  },
  { title: "To", cell: ({ recipient }) => h("span", { class: "value" }, recipient) },
  { title: "About", cell: aboutLink },
  { title: "Created", cell: ({ created_at: created }) => moment(created) },
  { title: "Status", cell: ({ state }) => badge(state) },
];

export async function view({ query, signal }) {
  const notice = h("div", { class: "notice-room" });
  const list = makeList({
    read: readMails,
    caption: "Mails, newest first",
    columns: COLUMNS,
    noun: "mail",
    empty: ["No mails found", "Each order with an email address has mails, which are kept here for 30 days."],
    complete: (mails) => {
      if (mails.some(({ state }) => state === "kept")) replace(notice, keptNote());
      return mails;
    },
    signal,
  });
  const show = (filters) => {
    replace(notice);
    list.show(filters);
  };
  const filters = filterBar(FILTERS, query, show);
  show(filters.values);
  return [pageHead("Mails"), filters.node, notice, list.node];
}
