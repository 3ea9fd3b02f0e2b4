// The page to add a product.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { navigate } from "../lib/router.js";
import { card, pageHead } from "./parts.js";
import { productFields, readProduct } from "./product-form.js";

export async function view({ signal }) {
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    productFields(null),
    field({
      label: "Units on hand",
      name: "on_hand",
      type: "number",
      inputmode: "numeric",
      required: true,
      min: 0,
      max: 2_147_483_648,
      step: 1,
      value: 0,
    }),
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button button-primary", type: "submit" }, icon("plus"), "Add product"),
    ),
  );
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { sku, category, ...product } = readProduct(form);
    // The server sets a default for a missing SKU or category.
    const body = { ...product, ...(sku && { sku }), ...(category && { category }), on_hand: readForm(form).on_hand };
    await whileBusy(form, async () => {
      try {
        const created = await call("POST", "/products", { body });
        toast(`Added “${created.title}”.`, { kind: "good" });
        if (!signal.aborted) navigate(`/admin/products/${created.id}`, null, { replace: true });
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        showProblems(form, problem);
      }
    });
  }
  return [pageHead("Add product", { back: { path: "/admin/products", text: "Products" } }), card("Details", form)];
}
