// A secret that the shop shows once.
import { h } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { field } from "../lib/forms.js";

/** Show a secret in a dialog, after a `text` and the nodes `more`, with a button that copies it. */
export function showSecret({ title, text, secret, more }) {
  const shown = field({ label: "Secret", name: "secret", value: secret, readonly: true, required: true });
  const dialog = openDialog({
    title,
    content: h(
      "div",
      { class: "stack" },
      h("p", null, text),
      more,
      shown,
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button", type: "button", onclick: copy }, "Copy secret"),
        h("button", { class: "button button-primary", type: "button", onclick: () => dialog.close() }, "Done"),
      ),
    ),
  });
  async function copy() {
    const input = shown.querySelector("input");
    input.select();
    // Browsers provide the clipboard only over HTTPS and on localhost.
    try {
      await navigator.clipboard.writeText(input.value);
      toast("Secret copied.", { kind: "good" });
    } catch {
      toast("Could not copy. The secret is selected, so you can copy it yourself.");
    }
  }
}
