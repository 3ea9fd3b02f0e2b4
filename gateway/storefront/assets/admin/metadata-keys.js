// The further fields by which customers can filter the list of products.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { field, readForm, showProblems, whileBusy } from "../lib/forms.js";

const PATH = "/products/metadata-keys";

/** Let an admin choose the fields in a dialog; throw a Problem if the present ones cannot be fetched. */
export async function editFilters() {
  const { keys } = await call("GET", PATH);
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    field({
      label: "Further fields",
      name: "keys",
      type: "textarea",
      rows: 6,
      value: keys.join("\n"),
      autocomplete: "off",
      spellcheck: "false",
      hint: "One name a line, such as material. Customers can filter by the values that products have for it.",
    }),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
    ),
  );
  const dialog = openDialog({ title: "Filters of the shop", content: form });
  async function submit(event) {
    event.preventDefault();
    await whileBusy(form, async () => {
      try {
        await call("PUT", PATH, { body: { keys: readNames(form) } });
        dialog.close();
        toast("Saved the filters.", { kind: "good" });
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        // The errors name the items of the list, all of which are in one field.
        problem.errors = problem.errors.map((each) => ({ ...each, field: "keys" }));
        showProblems(form, problem);
      }
    });
  }
}

function readNames(form) {
  const lines = (readForm(form).keys ?? "").split("\n").map((line) => line.trim());
  return [...new Set(lines.filter(Boolean))];
}
