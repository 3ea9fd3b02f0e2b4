// Webhooks: programs of others that learn of orders and of low stock.
import { h, icon } from "../lib/dom.js";
import { formatNumber } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { makeList } from "./list.js";
import { badge, moment, pageHead } from "./parts.js";
import { rowActions } from "./pricing-rows.js";
import { showSecret } from "./secret.js";
import { editWebhook, findStatus, nameWebhook, PATH } from "./webhook-form.js";

export async function view({ signal }) {
  const notice = h("div", { class: "notice-room" });
  const list = makeList({
    path: PATH,
    caption: "Webhooks, oldest first",
    columns: [
      { title: "Receiver", kind: "main", cell: receiver },
      { title: "Events", cell: ({ events }) => listEvents(events) },
      { title: "Status", cell: status },
      { title: "Waiting", kind: "number", cell: ({ waiting }) => formatNumber(waiting) },
      { title: "Dead", kind: "number", cell: ({ dead }) => formatNumber(dead) },
      { title: "Actions", cell: actions },
    ],
    noun: "webhook",
    empty: ["No webhooks yet", "Add one to tell another program of orders and of low stock."],
    signal,
  });
  const refresh = () => list.show({});

  function actions(webhook) {
    return rowActions({
      key: webhook.id,
      title: nameWebhook(webhook),
      path: `${PATH}/${webhook.id}`,
      active: webhook.active,
      edit: () => editWebhook({ webhook, onSaved: refresh }),
      loss: "It receives nothing more, and its deliveries are deleted, too.",
      notice,
      onSwitched: refresh,
      onDeleted: refresh,
    });
  }
  function add() {
    editWebhook({
      onSaved: (webhook) => {
        showWebhookSecret(webhook);
        refresh();
      },
    });
  }

  refresh();
  const actionsOfPage = h(
    "button",
    { class: "button button-primary", type: "button", onclick: add },
    icon("plus"),
    "Add webhook",
  );
  return [pageHead("Webhooks", { actions: actionsOfPage }), notice, list.node];
}

/** Return the types of events, each on its line. */
export function listEvents(events) {
  return h(
    "div",
    { class: "cell-lines event-types" },
    events.map((type) => h("code", null, type)),
  );
}

/** Show the new secret of a webhook. */
export function showWebhookSecret(webhook) {
  showSecret({
    title: `Secret for ${nameWebhook(webhook)}`,
    text: "Copy this secret now. You cannot view it again. The receiver verifies messages with it.",
    secret: webhook.secret,
  });
}

function receiver(webhook) {
  return h(
    "div",
    { class: "cell-lines" },
    h("a", { class: "value", href: linkTo(`/admin/webhooks/${webhook.id}`) }, nameWebhook(webhook)),
    webhook.description && h("small", { class: "faint" }, webhook.description),
  );
}

function status(webhook) {
  const { failing_since: since, error } = webhook;
  return h(
    "div",
    { class: "cell-lines" },
    h("div", null, badge(findStatus(webhook))),
    since && h("small", { class: "faint" }, "since ", moment(since)),
    error && h("small", { class: "faint" }, error),
  );
}
