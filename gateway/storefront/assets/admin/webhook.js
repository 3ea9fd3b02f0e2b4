// One webhook: its state, its deliveries, and what an admin can do with it.
import { call, wait } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { askToConfirm, load, openDialog, skeleton, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { formatNumber, toLocalTime } from "../lib/format.js";
import { countOf } from "../lib/labels.js";
import { showDelivery } from "./delivery.js";
import { filterBar } from "./filter-bar.js";
import { describeStatus, isId } from "./labels.js";
import { makeList } from "./list.js";
import { badge, card, facts, idLink, moment, pageHead, showingProblem } from "./parts.js";
import { editWebhook, findStatus, nameWebhook, PATH } from "./webhook-form.js";
import { listEvents, showWebhookSecret } from "./webhooks.js";

const STATES = [
  ["", "All"],
  ["waiting", "Waiting"],
  ["sent", "Sent"],
  ["dead", "Dead"],
];
const LOOKS = 20; // How often the page looks whether a message was sent,
const LOOK_EVERY = 500; // with this pause between, in milliseconds.
const DAY = 86_400_000;

export async function view({ params, query, signal }) {
  const path = `${PATH}/${params.id}`;
  const notice = h("div", { class: "notice-room" });
  const room = h("div");
  const list = makeList({
    path: `${path}/deliveries`,
    caption: "Deliveries, newest first",
    columns: [
      { title: "Event", kind: "main", cell: ({ type }) => h("code", null, type) },
      { title: "About", cell: about },
      { title: "Recorded", cell: (delivery) => moment(delivery.created_at) },
      { title: "Status", cell: status },
      { title: "Attempts", kind: "number", cell: (delivery) => formatNumber(delivery.attempt_count) },
      { title: "Actions", cell: actions },
    ],
    noun: "delivery",
    nouns: "deliveries",
    empty: ["No deliveries found", "Messages of the last 30 days are listed here. Send a ping to test the receiver."],
    signal,
  });
  const filters = filterBar([{ name: "state", label: "Status", type: "select", options: STATES }], query, list.show);

  async function refresh() {
    await Promise.all([show(), list.show(filters.values)]);
  }
  async function show() {
    await load(room, () => call("GET", path, { signal }), render, { skeleton: skeleton("lines", 4), signal });
  }
  function render(webhook) {
    const button = (text, onclick, name) =>
      h("button", { class: "button", type: "button", onclick }, name && icon(name), text);
    const head = pageHead(nameWebhook(webhook), {
      back: { path: "/admin/webhooks", text: "Webhooks" },
      status: badge(findStatus(webhook)),
      actions: [
        button("Ping", () => sendNow(`${path}/ping`), "play"),
        button("Redeliver since", () => redeliverSince(path, refresh), "undo"),
        button("Edit", () => editWebhook({ webhook, onSaved: refresh })),
        button("New secret", () => rotateSecret(webhook), "lock"),
        button(webhook.active ? "Switch off" : "Switch on", () => turn(webhook)),
      ],
    });
    return [head, describeWebhook(webhook)];
  }
  function actions(delivery) {
    return h(
      "div",
      { class: "button-row" },
      h(
        "button",
        { class: "button button-small", type: "button", onclick: () => showDelivery(delivery) },
        "Details",
      ),
      h(
        "button",
        {
          class: "button button-small",
          type: "button",
          onclick: () => sendNow(`${path}/deliveries/${delivery.id}/redeliver`),
        },
        "Redeliver",
      ),
    );
  }

  /** Send a message now, and say how its receiver answered. */
  async function sendNow(action) {
    await showingProblem(notice, async () => {
      const delivery = await call("POST", action);
      const sent = await waitForAttempt(delivery);
      if (signal.aborted) return;
      await refresh();
      const attempt = sent?.attempts.at(-1);
      if (!attempt) toast("The message waits to be sent.");
      else if (attempt.result === "sent") toast(`The receiver accepted it with ${attempt.status}.`, { kind: "good" });
      else toast(attempt.error, { kind: "bad" });
    });
  }
  async function waitForAttempt({ id, attempt_count: before }) {
    for (let look = 0; look < LOOKS && !signal.aborted; look += 1) {
      const page = await call("GET", `${path}/deliveries`, { query: { limit: 100 } });
      const found = page.data.find((each) => each.id === id);
      // An older one than these is not waited for.
      if (!found || found.attempt_count > before) return found;
      await wait(LOOK_EVERY);
    }
    return undefined;
  }
  async function turn(webhook) {
    await showingProblem(notice, async () => {
      await call("PATCH", path, { body: { active: !webhook.active } });
      toast(`The webhook is switched ${webhook.active ? "off" : "on"}.`, { kind: "good" });
      await refresh();
    });
  }
  async function rotateSecret(webhook) {
    const isSure = await askToConfirm({
      title: "Make a new secret?",
      text: "For 24 hours, messages are also signed with the current secret. Give the receiver the new one in that time.",
      action: "New secret",
    });
    if (!isSure) return;
    await showingProblem(notice, async () => {
      showWebhookSecret(await call("POST", `${PATH}/${webhook.id}/secret`));
      await show();
    });
  }

  refresh();
  return [room, notice, filters.node, list.node];
}

function describeWebhook(webhook) {
  return card(
    "State",
    facts([
      ["URL", h("span", { class: "value" }, webhook.url)],
      ["Events", listEvents(webhook.events)],
      ["Description", webhook.description],
      ["Waiting", formatNumber(webhook.waiting)],
      ["Dead", formatNumber(webhook.dead)],
      ["Failing since", webhook.failing_since && moment(webhook.failing_since)],
      ["Last error", webhook.error],
      ["Old secret valid until", webhook.old_secret_until && moment(webhook.old_secret_until)],
      ["Created", moment(webhook.created_at)],
    ]),
  );
}

function about({ about: subject }) {
  return isId(subject) ? idLink(`/admin/orders/${subject}`, subject) : subject;
}

function status(delivery) {
  const last = delivery.attempts.at(-1);
  return h(
    "div",
    { class: "cell-lines" },
    h("div", null, badge(delivery.state)),
    last && delivery.state !== "sent" && h("small", { class: "faint" }, last.error ?? describeStatus(last.result)[0]),
    delivery.next_attempt_at &&
      delivery.attempt_count > 0 &&
      h("small", { class: "faint" }, "next attempt ", moment(delivery.next_attempt_at)),
  );
}

/** Ask for a time in a dialog, and send the deliveries of all events since then again. */
function redeliverSince(path, onDone) {
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    h("p", null, "Messages keep their ids and bodies, so that the receiver can ignore those that it has."),
    field({
      label: "Events since",
      name: "since",
      type: "datetime-local",
      step: 1,
      min: "0001-01-01T00:00",
      max: "9999-12-31T00:00",
      required: true,
      value: toLocalTime(new Date(Date.now() - DAY).toISOString()),
    }),
    field({ label: "Only dead ones", name: "dead", type: "checkbox", checked: true }),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("undo"), "Redeliver"),
    ),
  );
  const dialog = openDialog({ title: "Redeliver messages", content: form });

  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { since, dead } = readForm(form);
    const body = { since: new Date(since).toISOString(), state: dead ? "dead" : null };
    await whileBusy(form, async () => {
      try {
        const { count } = await call("POST", `${path}/redeliver`, { body });
        dialog.close();
        toast(`${countOf(count, "message is", "messages are")} sent again.`, { kind: "good" });
        onDone();
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        showProblems(form, problem);
      }
    });
  }
}
