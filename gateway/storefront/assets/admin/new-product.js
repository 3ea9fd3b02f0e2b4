// The page to add a product.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { checkForm, showProblems, whileBusy } from "../lib/forms.js";
import { countOf } from "../lib/labels.js";
import { navigate } from "../lib/router.js";
import { metadataFields } from "./metadata.js";
import { card, pageHead } from "./parts.js";
import { productFields, readProduct } from "./product-form.js";
import { soldFields } from "./sold-fields.js";
import { describe } from "./variants-save.js";

export async function view({ signal }) {
  const sold = soldFields({ product: null, currency: await findCurrency(signal) });
  const metadata = metadataFields();
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    productFields(null),
    metadata.node,
    sold.node,
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button button-primary", type: "submit" }, icon("plus"), "Add product"),
    ),
  );
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form) || !sold.check()) return;
    const { category, ...product } = { ...readProduct(form), metadata: metadata.read() };
    // The server sets a default for a missing category.
    const described = { ...product, ...(category && { category }) };
    const body = { ...described, ...(sold.isSplit ? readVariants() : dropEmpty(sold.read(form))) };
    await whileBusy(form, async () => {
      try {
        const created = await call("POST", "/products", { body });
        toast(`Added “${created.title}”.`, { kind: "good" });
        if (!signal.aborted) navigate(`/admin/products/${created.id}`, null, { replace: true });
      } catch (problem) {
        if (problem.name !== "Problem") throw problem;
        if (!showRowProblems(problem)) showProblems(form, problem);
      }
    });
  }
  function readVariants() {
    const { set } = sold;
    const variants = set.sold.map((row) => ({
      ...dropEmpty(Object.fromEntries(set.columns.map(({ name, read }) => [name, read(row.cells[name])]))),
      options: set.describe(row),
    }));
    return { options: set.body, variants };
  }
  /** Show the errors of variants at their rows; return whether all errors are theirs. */
  function showRowProblems(problem) {
    const found = problem.errors.map((error) => [/^variants\.(\d+)\./.exec(error.field ?? "")?.[1], error]);
    if (!found.length || found.some(([place]) => place === undefined)) return false;
    const rows = sold.set.sold;
    for (const [place, error] of found) rows[place].note ??= describe(sold.set, { errors: [error] });
    toast(`${countOf(new Set(found.map(([place]) => place)).size, "variant")} with errors. The table says why.`, {
      kind: "bad",
    });
    sold.showNotes();
    return true;
  }
  return [pageHead("Add product", { back: { path: "/admin/products", text: "Products" } }), card("Details", form)];
}

/** Return the shop's currency, which each product has; null while the catalogue is empty. */
async function findCurrency(signal) {
  const page = await call("GET", "/products", { query: { limit: 1 }, signal });
  return page?.data[0]?.currency ?? null;
}

function dropEmpty(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
