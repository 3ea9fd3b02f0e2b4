// One product: details, stock, and removal.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { checkForm, clearProblems, showProblems, whileBusy } from "../lib/forms.js";
import { linkTo, navigate, setTitle } from "../lib/router.js";
import { conflictPanel } from "./conflict.js";
import { card, moment, pageHead, showingProblem } from "./parts.js";
import { imagesCard } from "./product-images.js";
import { findDifferences, productFields, readProduct } from "./product-form.js";
import { saleCard } from "./sale.js";
import { stockCard } from "./stock.js";

// The catalogue numbers the shop's own products from here on; they have no source.
const FIRST_LOCAL_ID = 9_000_000_000_000_000;
const SOURCE_FIELDS = ["sku", "title", "brand", "category", "unit_amount", "description", "rating", "images", "stock"];

export async function view({ params, signal }) {
  const id = encodeURIComponent(params.id);
  const heading = h("span", null, "Product");
  const room = h("div");
  // The gateway does not cache a URL with this query. A cached product may be two seconds old, too old for
  // editing.
  const read = () => call("GET", `/products/${id}`, { query: { as: "edited" }, signal });
  const images = new EventTarget();

  function render(product) {
    setTitle(product.title);
    replace(heading, product.title);
    return h(
      "div",
      { class: "columns" },
      h(
        "div",
        null,
        card(
          "Details",
          editForm(product, read, images, (saved) => {
            setTitle(saved.title);
            replace(heading, saved.title);
          }),
        ),
        imagesCard(product, read, images),
      ),
      h(
        "div",
        null,
        stockCard(id, signal),
        saleCard({ productId: id, variantId: id, currency: product.currency, signal, onChange: show }),
        product.id < FIRST_LOCAL_ID && sourceCard(read, show),
        deleteCard(product, signal),
      ),
    );
  }
  const show = () => load(room, read, render, { skeleton: skeleton("rows", 8), signal });
  show();
  const shopLink = h("a", { class: "button", href: linkTo(`/products/${id}`) }, "View in shop");
  return [pageHead(heading, { back: { path: "/admin/products", text: "Products" }, actions: shopLink }), room];
}

/** Return a form that saves the changed fields, and shows a conflict if the product has changed since. */
function editForm(product, read, images, onSaved) {
  let original = product;
  const fields = h("div");
  const version = h("p", { class: "faint small" });
  const conflict = h("div", { class: "notice-room", tabindex: "-1" });
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    fields,
    conflict,
    h(
      "div",
      { class: "button-row" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
      version,
    ),
  );
  show(product);
  images.addEventListener("change", ({ detail: now }) => {
    // If only images have changed since, the admin's unsaved changes apply to the new version.
    if (now.version !== original.version + 1) return;
    const isUntouched = readProduct(form).images.join() === original.images.join();
    original = { ...original, images: now.images, version: now.version, updated_at: now.updated_at };
    if (isUntouched) form.elements.images.value = now.images.join("\n");
    showVersion(now);
  });

  function showVersion(now) {
    replace(version, `Version ${now.version}, updated `, moment(now.updated_at));
  }
  function show(now) {
    original = now;
    replace(fields, productFields(now));
    showVersion(now);
    images.dispatchEvent(new CustomEvent("save", { detail: now }));
    replace(conflict);
    clearProblems(form);
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const mine = readProduct(form);
    const changed = findDifferences(original, mine);
    if (!changed.length) {
      toast("No changes to save.");
      return;
    }
    await whileBusy(form, () => save(mine, changed, original.version));
  }
  async function save(mine, changed, version) {
    const changes = Object.fromEntries(changed.map((name) => [name, mine[name]]));
    replace(conflict);
    clearProblems(form);
    try {
      const saved = await call("PATCH", `/products/${original.id}`, { body: { ...changes, version } });
      show(saved);
      onSaved(saved);
      toast("Product saved.", { kind: "good" });
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      if (problem.code !== "version_conflict") {
        showProblems(form, problem);
        return;
      }
      await showConflict(mine, changed);
    }
  }
  /** Show the changes since the admin opened the product, and let the admin decide. */
  async function showConflict(mine, changed) {
    try {
      const current = await read();
      replace(
        conflict,
        conflictPanel({
          original,
          current,
          mine,
          changed,
          onOverwrite: () => whileBusy(form, () => save(mine, changed, current.version)),
          onDiscard: () => {
            show(current);
            form.querySelector("input").focus();
          },
        }),
      );
      conflict.focus();
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      showProblems(form, problem);
    }
  }
  return form;
}

/** Return a card that drops the edits and stock counts made here, and calls `onDone`. */
function sourceCard(read, onDone) {
  const notice = h("div", { class: "notice-room" });
  async function reset() {
    const isSure = await askToConfirm({
      title: "Reset to the product source?",
      text: "This replaces all edits and stock counts made here with the values of the last sync.",
      action: "Reset to source",
      danger: true,
    });
    if (!isSure) return;
    await showingProblem(notice, async () => {
      const { id, version } = await read();
      await call("PATCH", `/products/${id}`, { body: { version, follow_source: SOURCE_FIELDS } });
      toast("Product reset to its source.", { kind: "good" });
      onDone();
    });
  }
  return card(
    "Product source",
    h("p", null, "A sync keeps the edits and stock counts made here."),
    notice,
    h("button", { class: "button", type: "button", onclick: reset }, icon("undo"), "Reset to source"),
  );
}

function deleteCard(product, signal) {
  const notice = h("div", { class: "notice-room" });
  async function remove() {
    const isSure = await askToConfirm({
      title: `Delete “${product.title}”?`,
      text: "A sync of the product source does not bring it back. Existing orders do not change.",
      action: "Delete product",
      danger: true,
    });
    if (!isSure) return;
    await showingProblem(notice, async () => {
      await call("DELETE", `/products/${product.id}`);
      toast(`Deleted “${product.title}”.`, { kind: "good" });
      if (!signal.aborted) navigate("/admin/products");
    });
  }
  return card(
    "Delete product",
    h("p", null, "Customers can no longer find or order a deleted product."),
    notice,
    h("button", { class: "button button-danger", type: "button", onclick: remove }, icon("trash"), "Delete product"),
  );
}
