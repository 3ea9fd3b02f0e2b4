// One product: details, stock, and removal.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { checkForm, clearProblems, showProblems, whileBusy } from "../lib/forms.js";
import { countOf } from "../lib/labels.js";
import { linkTo, navigate, setTitle } from "../lib/router.js";
import { conflictPanel, restructuredNote } from "./conflict.js";
import { metadataFields } from "./metadata.js";
import { card, errorNote, moment, pageHead, showingProblem } from "./parts.js";
import { DESCRIBED, findDifferences, productFields, readProduct } from "./product-form.js";
import { imagesCard } from "./product-images.js";
import { saleCard } from "./sale.js";
import { soldFields } from "./sold-fields.js";
import { stockCard } from "./stock.js";
import { Conflict, saveVariants } from "./variants-save.js";

// The catalogue numbers the shop's own products from here on; they have no source.
const FIRST_LOCAL_ID = 9_000_000_000_000_000;
const SOURCE_FIELDS = ["sku", "title", "brand", "category", "unit_amount", "description", "rating", "images", "stock"];

export async function view({ params, signal }) {
  const id = encodeURIComponent(params.id);
  const heading = h("span", null, "Product");
  const room = h("div");
  // The gateway does not cache a URL with this query. A cached product may be two seconds old, too old for
  // editing.
  const read = async () => {
    const [product, variants] = await Promise.all([
      call("GET", `/products/${id}`, { query: { as: "edited" }, signal }),
      call("GET", `/products/${id}/variants`, { signal }),
    ]);
    // The admin's list also has the thresholds and the counts. A product with one variant has its fields.
    const { weight_grams, low_stock_threshold } = variants.data[0];
    return { ...product, weight_grams, low_stock_threshold, variants: variants.data };
  };
  const images = new EventTarget();

  function render(product) {
    const stock = h("div", null, !product.options.length && stockCard(id, signal));
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
          editForm(product, read, images, {
            onSaved: (saved) => {
              setTitle(saved.title);
              replace(heading, saved.title);
            },
            onRestructured: show,
            onMode: (isSplit) => {
              stock.hidden = isSplit;
            },
          }),
        ),
        imagesCard(product, read, images),
      ),
      h(
        "div",
        null,
        stock,
        saleCard({ product, signal, onChange: show }),
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
function editForm(product, read, images, { onSaved, onRestructured, onMode }) {
  let original = product;
  let metadata = null;
  let sold = null;
  const fields = h("div", { class: "stack" });
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
    const { images: urls, version: number, updated_at, variants } = now;
    original = { ...original, images: urls, version: number, updated_at, variants: variants ?? original.variants };
    if (isUntouched) form.elements.images.value = now.images.join("\n");
    showVersion(now);
  });

  function showVersion(now) {
    replace(version, `Version ${now.version}, updated `, moment(now.updated_at));
  }
  function show(now) {
    original = now;
    metadata = metadataFields(now.metadata);
    sold = soldFields({ product: now, currency: now.currency, onMode });
    replace(fields, productFields(now), metadata.node, sold.node);
    showVersion(now);
    images.dispatchEvent(new CustomEvent("save", { detail: now }));
    replace(conflict);
    clearProblems(form);
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form) || !sold.check()) return;
    const mine = { ...readProduct(form), metadata: metadata.read(), ...(!sold.isSplit && sold.read(form)) };
    const changed = findDifferences(original, mine, sold.hasRows ? DESCRIBED : undefined);
    if (!changed.length && !(sold.hasRows && sold.set.isChanged)) {
      toast("No changes to save.");
      return;
    }
    await whileBusy(form, () => save(mine, changed, original));
  }
  /** Save the changes to `base`, which is the product as the admin knows it. */
  async function save(mine, changed, base) {
    const changes = Object.fromEntries(changed.map((name) => [name, mine[name]]));
    const isRestructured = sold.hasRows && (sold.set.isRestructured || sold.set.withdrawn.length > 0);
    replace(conflict);
    clearProblems(form);
    try {
      if (sold.hasRows) {
        const { failed, product: known } = await saveRows(changes, base);
        if (failed) {
          original = known;
          if (!sold.isSplit) replace(conflict, errorNote(sold.set.rows[0].note.text));
          else if (sold.showNotes()) {
            toast(`${countOf(failed, "variant")} not saved. The table says why.`, { kind: "bad" });
          }
          return;
        }
      } else {
        const body = { ...changes, version: base.version };
        await call("PATCH", `/products/${original.id}`, { body });
      }
      const saved = await read();
      show(saved);
      onSaved(saved);
      toast("Product saved.", { kind: "good" });
      if (isRestructured) onRestructured();
    } catch (problem) {
      if (problem instanceof Conflict) showConflict(mine, changed, problem.current, problem.isRestructured);
      else if (problem.name !== "Problem") throw problem;
      else if (problem.code === "version_conflict") await findConflict(mine, changed);
      else {
        showProblems(form, problem);
        sold.showNotes();
      }
    }
  }
  async function saveRows(changes, base) {
    const onProgress = (place, number) => replace(version, `Saving variant ${place} of ${number}…`);
    // What an admin types now would be lost when the saved product is shown.
    fields.inert = true;
    try {
      return await saveVariants({ base, changes, set: sold.set, read, onProgress });
    } finally {
      fields.inert = false;
      showVersion(original);
    }
  }
  async function findConflict(mine, changed) {
    try {
      const current = await read();
      const isRestructured = JSON.stringify(current.options) !== JSON.stringify(original.options);
      showConflict(mine, changed, current, isRestructured);
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      showProblems(form, problem);
    }
  }
  /** Show the changes since the admin opened the product, and let the admin decide. */
  function showConflict(mine, changed, current, isRestructured) {
    replace(
      conflict,
      isRestructured
        ? restructuredNote(onRestructured)
        : conflictPanel({
            original,
            current,
            mine,
            changed,
            onOverwrite: () => whileBusy(form, () => save(mine, changed, current)),
            onDiscard: () => {
              show(current);
              form.querySelector("input").focus();
            },
          }),
    );
    conflict.focus();
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
