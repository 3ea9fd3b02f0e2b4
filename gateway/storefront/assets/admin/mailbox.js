// The mails of all services, and what the pages that show them share.
import { call, wait } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { askToConfirm } from "../lib/feedback.js";
import { linkTo } from "../lib/router.js";
import { shortId } from "./labels.js";
import { may } from "./roles.js";

// The services that send mails, by the first segment of their routes, and the pages that mails are about.
const SOURCES = { orders: ["Order", "/admin/orders"], auth: ["User", "/admin/users"] };
const PAGE = 30;
// Milliseconds between two polls while a mail waits.
const PAUSE = 2000;
export const MAIL_STATES = ["waiting", "sent", "kept", "dead"];

/**
 * Read a page of the mails of all services, newest first, as `{data, next}`; `cursor` is the `next` of the page
 * before. Each mail has its service as `source`.
 */
export async function readMails({ cursor, ...filters }, signal) {
  let sources = cursor ?? listSources().map((name) => ({ name, mails: [], next: null, hasMore: true }));
  const data = [];
  while (data.length < PAGE) {
    // The next mail of a service whose page is used up may be newer than those of the others.
    sources = await Promise.all(sources.map((source) => refill(source, filters, signal)));
    const [newest] = sources.filter(({ mails }) => mails.length).sort(newestFirst);
    if (!newest) break;
    data.push(newest.mails.shift());
  }
  return { data, next: sources.some(({ mails, hasMore }) => mails.length || hasMore) ? sources : null };
}

// A clerk may read the mails of orders only.
function listSources() {
  return Object.keys(SOURCES).filter((name) => name === "orders" || may("account-mails"));
}

// An id begins with the time.
function newestFirst({ mails: [one] }, { mails: [other] }) {
  return one.id < other.id ? 1 : -1;
}

async function refill(source, filters, signal) {
  if (source.mails.length || !source.hasMore) return { ...source, mails: [...source.mails] };
  const query = { ...filters, limit: PAGE, cursor: source.next };
  try {
    const { data, next } = await call("GET", `/${source.name}/mails`, { query, signal });
    const mails = data.map((mail) => ({ ...mail, source: source.name }));
    return { ...source, mails, next, hasMore: Boolean(next) };
  } catch (problem) {
    // A replica of the release before has no mails.
    if (problem.status !== 404) throw problem;
    return { ...source, hasMore: false };
  }
}

/** Return the address of a mail's page. */
export function linkToMail({ source, id }) {
  return linkTo(`/admin/mails/${source}/${id}`);
}

/** Return a mail's subject; a mail whose template has an error has none. */
export function nameMail({ subject }) {
  return subject ?? "Mail without a subject";
}

/** Return a link to the order, the user or the webhook that a mail is about. */
export function aboutLink({ source, about, kind }) {
  const [noun, path] = kind === "webhook_disabled" ? ["Webhook", "/admin/webhooks"] : SOURCES[source];
  return h("a", { href: linkTo(`${path}/${about}`), title: about }, `${noun} ${shortId(about)}`);
}

/** Return the note that explains why mails are kept. */
export function keptNote() {
  return h(
    "div",
    { class: "note" },
    icon("info"),
    h(
      "p",
      null,
      "Kept mails are not sent, because the shop has no mail server. To send mails, set ",
      h("code", null, "SMTP_URL"),
      ".",
    ),
  );
}

/** Return what the button to send a mail again says; null while the mail waits to be sent. */
export function resendLabel({ state }) {
  if (state === "waiting") return null;
  return state === "dead" ? "Retry" : "Send again";
}

/** Ask whether to send a mail again, and do so; resolve to the mail that is sent, or null. */
export async function resend(mail) {
  const isSure = await askToConfirm({
    title: `Send “${nameMail(mail)}” again?`,
    text: `It goes to ${mail.recipient}.`,
    action: resendLabel(mail),
  });
  if (!isSure) return null;
  const sent = await call("POST", `/${mail.source}/mails/${mail.id}/resend`);
  return { ...sent, source: mail.source };
}

/** Call `read()` until none of its mails waits, and `show(mails)` each time that they have changed. */
export async function followMails(mails, read, show, signal) {
  try {
    let shown = mails;
    while (shown.some(({ state }) => state === "waiting")) {
      await wait(PAUSE, signal);
      const now = await read().catch((problem) => {
        if (problem.name !== "Problem") throw problem;
        return shown;
      });
      // Rendering drops the focus.
      if (JSON.stringify(now) !== JSON.stringify(shown)) show(now);
      shown = now;
    }
  } catch (problem) {
    if (!signal.aborted) throw problem;
  }
}
