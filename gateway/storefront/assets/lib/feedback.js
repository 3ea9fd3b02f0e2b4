// What the page says to people: that it is loading, that nothing is there, that something failed, that it worked.
import { h, icon, replace } from "./dom.js";

const PATIENCE = 4000;

/** Tell screen readers, and nobody else. */
export function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  // The same text twice in a row is read twice only if the region was empty in between.
  setTimeout(() => {
    region.textContent = text;
  }, 50);
}

/** Say something in passing; `kind` is `good`, `bad` or `plain`, `action` is `{label, run}`. */
export function toast(text, { kind = "plain", action } = {}) {
  const region = findToasts();
  const close = () => note.remove();
  const note = h(
    "div",
    { class: `toast toast-${kind}` },
    icon({ good: "check", bad: "alert", plain: "info" }[kind]),
    h("p", null, text),
    action &&
      h(
        "button",
        { class: "button-link", type: "button", onclick: () => (close(), action.run()) },
        action.label,
      ),
    h(
      "button",
      { class: "button-icon", type: "button", "aria-label": "Dismiss", onclick: close },
      icon("close"),
    ),
  );
  while (region.children.length > 2) region.firstChild.remove();
  region.append(note);
  // What it offers belongs to the page on which it was said.
  if (action) addEventListener("hashchange", close, { once: true });
  let timer = setTimeout(close, kind === "bad" ? 12_000 : 6000);
  // Whoever reads it or is about to press its button is not hurried.
  const hold = () => clearTimeout(timer);
  const release = () => {
    hold();
    timer = setTimeout(close, 4000);
  };
  note.addEventListener("pointerenter", hold);
  note.addEventListener("pointerleave", release);
  note.addEventListener("focusin", hold);
  note.addEventListener("focusout", release);
}

// While a dialog is open, nothing outside of it can be read or pressed.
function findToasts() {
  const dialog = Array.from(document.querySelectorAll("dialog[open]")).at(-1);
  if (!dialog) return document.getElementById("toasts");
  const region = dialog.querySelector(".toasts") ?? h("div", { class: "toasts", role: "status" });
  dialog.append(region);
  return region;
}

/** Return a panel that says what failed, with a button that tries again; `level` is that of its heading. */
export function problemPanel(problem, retry, level = "h2") {
  return h(
    "div",
    { class: "panel panel-problem", role: "alert" },
    icon("alert"),
    h(level, null, problem.status === 404 ? "This is not here" : "That did not work"),
    h("p", null, problem.message),
    retry &&
      problem.status !== 404 &&
      h("button", { class: "button", type: "button", onclick: retry }, icon("refresh"), "Try again"),
    problem.requestId &&
      h("p", { class: "small faint" }, "Number of the request: ", h("code", null, problem.requestId)),
  );
}

/** Return a panel that says that nothing is there, and what to do about it; `action` is a node. */
export function emptyPanel(title, hint, action) {
  return h("div", { class: "panel panel-empty" }, h("h2", null, title), hint && h("p", null, hint), action);
}

/** Return n placeholders: `cards`, `rows`, `lines` or `product`. */
export function skeleton(kind, n = 3) {
  return h(
    "div",
    { class: `skeletons skeletons-${kind}`, "aria-hidden": "true" },
    Array.from({ length: n }, () => h("div", { class: "skeleton" })),
  );
}

/** Ask in a dialog before something is done that cannot be taken back; resolves to true or false. */
export function askToConfirm({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    const no = h(
      "button",
      { class: "button button-quiet", value: "", autofocus: danger },
      "Keep it as it is",
    );
    const yes = h(
      "button",
      { class: `button ${danger ? "button-danger" : "button-primary"}`, value: "yes" },
      action,
    );
    const dialog = openDialog({
      title,
      content: [h("p", null, text), h("form", { method: "dialog", class: "dialog-actions" }, no, yes)],
    });
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
  });
}

let dialogs = 0;

/** Open a modal dialog with a heading and a close button; it leaves the page when closed, and gives the focus back. */
export function openDialog({ title, content, kind = "" }) {
  const id = `dialog-title-${(dialogs += 1)}`;
  const opener = document.activeElement;
  const dialog = h(
    "dialog",
    { class: `dialog ${kind}`, "aria-labelledby": id },
    h(
      "header",
      { class: "dialog-header" },
      h("h2", { id, tabindex: "-1" }, title),
      h(
        "button",
        { class: "button-icon", type: "button", "aria-label": "Close", onclick: () => dialog.close() },
        icon("close"),
      ),
    ),
    content,
  );
  // A press outside of the box is one on the dialog itself.
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && dialog.close());
  const leaving = new AbortController();
  addEventListener("hashchange", () => dialog.close(), { signal: leaving.signal });
  dialog.addEventListener("close", () => {
    leaving.abort();
    document.getElementById("toasts").append(...dialog.querySelectorAll(".toast"));
    dialog.remove();
    if (opener?.isConnected) opener.focus({ preventScroll: true });
  });
  document.body.append(dialog);
  dialog.returnValue = "";
  dialog.showModal();
  return dialog;
}

/** Put the nodes in place of what the container holds; if the focus was in there, it is at the beginning afterwards. */
export function refill(container, ...nodes) {
  const hadFocus = container.contains(document.activeElement);
  replace(container, nodes);
  if (!hadFocus || container.contains(document.activeElement)) return;
  const beginning = container.querySelector("h1") ?? container;
  beginning.setAttribute("tabindex", "-1");
  beginning.focus({ preventScroll: true });
}

/**
 * Fill a container: placeholders, then what `render(data)` returns, or a panel with a button that tries again.
 *
 * `produce(signal)` fetches the data. Resolves to the data, or to undefined if it failed or the page was left.
 */
export async function load(container, produce, render, { skeleton: placeholder, signal } = {}) {
  container.setAttribute("aria-busy", "true");
  refill(container, placeholder ?? skeleton("lines"));
  const patience = setTimeout(() => {
    container.append(h("p", { class: "faint", role: "status" }, "This takes longer than usual …"));
  }, PATIENCE);
  try {
    const data = await produce(signal);
    signal?.throwIfAborted();
    refill(container, render(data));
    return data;
  } catch (problem) {
    if (signal?.aborted || problem.name === "AbortError") return undefined;
    if (problem.name !== "Problem") console.error(problem);
    const retry = () => load(container, produce, render, { skeleton: placeholder, signal });
    // Where the page's heading was to be, there is that of the panel.
    refill(container, problemPanel(problem, retry, container.querySelector("h1") ? "h1" : "h2"));
    return undefined;
  } finally {
    clearTimeout(patience);
    container.removeAttribute("aria-busy");
  }
}
