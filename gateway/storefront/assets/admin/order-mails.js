// The mails about an order, on its page.
import { call } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { load, refill, skeleton, toast } from "../lib/feedback.js";
import { followMails, linkToMail, nameMail, resend, resendLabel } from "./mailbox.js";
import { badge, card, moment, showingProblem } from "./parts.js";
import { makeTable } from "./table.js";

const MOST = 100;

/** Return `{node, refresh()}` for the mails about an order. */
export function orderMails(orderId, signal) {
  const notice = h("div", { class: "notice-room" });
  const room = h("div");
  const columns = [
    {
      title: "Mail",
      kind: "main",
      cell: (mail) => [
        h("a", { class: "value", href: linkToMail(mail) }, nameMail(mail)),
        h("small", { class: "faint" }, moment(mail.created_at)),
      ],
    },
    { title: "Status", cell: ({ state }) => badge(state) },
    { title: "Actions", cell: resendButton },
  ];
  let turn = new AbortController();

  async function read() {
    const path = `/orders/${encodeURIComponent(orderId)}/mails`;
    const { data } = await call("GET", path, { query: { limit: MOST }, signal });
    return data.map((mail) => ({ ...mail, source: "orders" }));
  }

  function render(mails) {
    if (!mails.length) return h("p", { class: "faint" }, "No mails in the last 30 days.");
    const table = makeTable("Mails about this order, newest first", columns);
    table.show(mails);
    return table.node;
  }

  function resendButton(mail) {
    const label = resendLabel(mail);
    if (!label) return "–";
    return h(
      "button",
      {
        class: "button button-small",
        type: "button",
        "aria-label": `${label}: ${nameMail(mail)}`,
        onclick: () => sendAgain(mail),
      },
      label,
    );
  }

  async function sendAgain(mail) {
    await showingProblem(notice, async () => {
      if (!(await resend(mail)) || signal.aborted) return;
      toast("Sending the mail again.", { kind: "good" });
      await update();
    });
  }

  async function update() {
    const mails = await read();
    if (!signal.aborted) refill(room, show(mails));
  }

  /** Return the mails as they are now, and follow those that wait. */
  function show(mails) {
    turn.abort();
    turn = new AbortController();
    followMails(mails, read, (now) => refill(room, render(now)), AbortSignal.any([signal, turn.signal]));
    return render(mails);
  }

  load(room, read, show, { skeleton: skeleton("lines", 2), signal });
  return { node: card("Mails", notice, room), refresh: () => showingProblem(notice, update) };
}
