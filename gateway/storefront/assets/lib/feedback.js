// Feedback: toasts, dialogs, announcements, and panels for loading, empty and failed content.
import { h, icon, replace } from "./dom.js";

const SLOW_AFTER = 4000; // Milliseconds.

/** Announce a text to screen readers only. */
export function announce(text) {
  const region = document.getElementById("announcer");
  region.textContent = "";
  // A screen reader repeats a text only if the region was empty in between.
  setTimeout(() => {
    region.textContent = text;
  }, 50);
}

/** Show a toast; `kind` is `good`, `bad` or `plain`, `action` is `{label, run}`. */
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
  // The action belongs to the view that showed the toast.
  if (action) addEventListener("shopfleet:leave", close, { once: true });
  let timer = setTimeout(close, kind === "bad" ? 12_000 : 6000);
  // The toast stays while it has the pointer or the focus.
  const pause = () => clearTimeout(timer);
  const resume = () => {
    pause();
    timer = setTimeout(close, 4000);
  };
  note.addEventListener("pointerenter", pause);
  note.addEventListener("pointerleave", resume);
  note.addEventListener("focusin", pause);
  note.addEventListener("focusout", resume);
}

// A modal dialog makes everything outside of it inert, so its toasts must be inside.
function findToasts() {
  const dialog = Array.from(document.querySelectorAll("dialog[open]")).at(-1);
  if (!dialog) return document.getElementById("toasts");
  const region = dialog.querySelector(".toasts") ?? h("div", { class: "toasts", role: "status" });
  dialog.append(region);
  return region;
}

/** Return a panel for a failure, with a button that calls `retry`; `level` is the tag of its heading. */
export function problemPanel(problem, retry, level = "h2") {
  return h(
    "div",
    { class: "panel", role: "alert" },
    icon("alert"),
    h(level, null, problem.status === 404 ? "Not found" : "Unable to load"),
    h("p", null, problem.message),
    retry &&
      problem.status !== 404 &&
      h("button", { class: "button", type: "button", onclick: retry }, icon("refresh"), "Try again"),
    problem.requestId && h("p", { class: "small faint" }, "Request ID: ", h("code", null, problem.requestId)),
  );
}

/** Return a panel for empty content; `hint` suggests what to do, and `action` is a node. */
export function emptyPanel(title, hint, action) {
  return h("div", { class: "panel" }, h("h2", null, title), hint && h("p", null, hint), action);
}

/** Return n placeholders; `kind` is `cards`, `rows`, `lines` or `product`. */
export function skeleton(kind, n = 3) {
  return h(
    "div",
    { class: `skeletons skeletons-${kind}`, "aria-hidden": "true" },
    Array.from({ length: n }, () => h("div", { class: "skeleton" })),
  );
}

/** Ask for confirmation in a dialog; resolve to true or false. */
export function askToConfirm({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    const no = h("button", { class: "button button-quiet", value: "", autofocus: danger }, "Go back");
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

/** Open a modal dialog with a heading and a close button. Closing removes it and restores the focus. */
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
  // A click on the backdrop has the dialog itself as its target.
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && dialog.close());
  const leaving = new AbortController();
  addEventListener("shopfleet:leave", () => dialog.close(), { signal: leaving.signal });
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

/** Replace the contents of a container. If it had the focus, move the focus to its heading. */
export function refill(container, ...nodes) {
  const hadFocus = container.contains(document.activeElement);
  replace(container, nodes);
  if (!hadFocus || container.contains(document.activeElement)) return;
  const target = container.querySelector("h1") ?? container;
  target.setAttribute("tabindex", "-1");
  target.focus({ preventScroll: true });
}

/**
 * Fill a container: placeholders first, then `render(data)`, or a panel with a "Try again" button.
 *
 * `produce()` fetches the data; the promise settles once the container is filled or the view was left.
 */
export async function load(container, produce, render, { skeleton: placeholder, signal }) {
  container.setAttribute("aria-busy", "true");
  refill(container, placeholder);
  const slow = setTimeout(() => {
    container.append(h("p", { class: "faint", role: "status" }, "This is taking longer than usual…"));
  }, SLOW_AFTER);
  try {
    const data = await produce();
    signal.throwIfAborted();
    refill(container, render(data));
  } catch (problem) {
    if (signal.aborted || problem.name === "AbortError") return;
    if (problem.name !== "Problem") console.error(problem);
    const retry = () => load(container, produce, render, { skeleton: placeholder, signal });
    // The panel's heading replaces the page's.
    refill(container, problemPanel(problem, retry, container.querySelector("h1") ? "h1" : "h2"));
  } finally {
    clearTimeout(slow);
    container.removeAttribute("aria-busy");
  }
}
