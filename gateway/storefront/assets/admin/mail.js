// One mail: where it went, and how its recipient sees it.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { load, skeleton, toast } from "../lib/feedback.js";
import { toSentence } from "../lib/labels.js";
import { navigate, setTitle } from "../lib/router.js";
import { aboutLink, followMails, keptNote, linkToMail, nameMail, resend, resendLabel } from "./mailbox.js";
import { badge, card, errorNote, facts, moment, pageHead, showingProblem } from "./parts.js";
import { shortId } from "./labels.js";

// What the time means at which a mail was finished.
const FINISHED = { sent: "Sent", kept: "Kept", dead: "Given up" };

export async function view({ params, signal }) {
  const { source, id } = params;
  const path = `/${encodeURIComponent(source)}/mails/${encodeURIComponent(id)}`;
  const [heading, status, action] = [h("span", null, "Mail"), h("span"), h("span")];
  const notice = h("div", { class: "notice-room", tabindex: "-1" });
  const [room, state, details] = [h("div"), h("div", { class: "notice-room" }), h("div")];

  const read = async () => ({ ...(await call("GET", path, { signal })), source });

  function render(mail) {
    setTitle(nameMail(mail));
    replace(heading, nameMail(mail));
    showState(mail);
    follow(mail);
    // What a mail says does not change, so that the frame is loaded once.
    return [h("div", { class: "columns" }, frameCard(mail), details), textCard(mail)];
  }

  function showState(mail) {
    const label = resendLabel(mail);
    replace(status, badge(mail.state));
    replace(
      action,
      label &&
        h(
          "button",
          { class: "button", type: "button", onclick: () => sendAgain(mail) },
          icon("refresh"),
          label,
        ),
    );
    replace(state, describeState(mail));
    replace(details, detailsCard(mail));
  }

  function follow(mail) {
    followMails(
      [mail],
      async () => [await read()],
      ([now]) => showState(now),
      signal,
    );
  }

  async function sendAgain(mail) {
    await showingProblem(notice, async () => {
      const sent = await resend(mail);
      if (!sent || signal.aborted) return;
      toast("Sending the mail again.", { kind: "good" });
      if (sent.id === mail.id) {
        showState(sent);
        follow(sent);
        head.querySelector("h1").focus({ preventScroll: true });
      } else navigate(`/admin/mails/${source}/${sent.id}`);
    });
    if (notice.childElementCount) notice.focus();
  }

  const head = pageHead(heading, { back: { path: "/admin/mails", text: "Mails" }, status, actions: action });
  load(room, read, render, { skeleton: skeleton("rows", 8), signal });
  return [head, notice, state, room];
}

function describeState({ state }) {
  if (state === "kept") return keptNote();
  return state === "dead" && errorNote("This mail could not be sent, and the shop does not try again by itself.");
}

function detailsCard(mail) {
  return card(
    "Details",
    facts([
      ["To", mail.recipient],
      ["Subject", nameMail(mail)],
      ["Kind", toSentence(mail.kind)],
      ["About", aboutLink(mail)],
      ["Created", moment(mail.created_at)],
      [FINISHED[mail.state] ?? "Finished", mail.finished_at && moment(mail.finished_at)],
      ["Attempts", String(mail.attempts)],
      ["Last error", mail.error],
      ["Next attempt", mail.next_attempt_at && moment(mail.next_attempt_at)],
      [
        "Repeats",
        mail.resend_of &&
          h("a", { href: linkToMail({ ...mail, id: mail.resend_of }), title: mail.resend_of }, shortId(mail.resend_of)),
      ],
    ]),
  );
}

function frameCard({ subject, preview }) {
  return card(
    "Preview",
    subject === null
      ? errorNote("A template of this mail has an error, so it cannot be shown.")
      : // No scripts and no access to this page; a link opens in a tab of its own.
        h("iframe", {
          class: "mail-frame",
          title: "The mail as its recipient sees it",
          sandbox: "allow-popups allow-popups-to-escape-sandbox",
          src: preview,
        }),
  );
}

function textCard({ text }) {
  return text !== null && card("Text", h("pre", { class: "mail-text" }, text));
}
