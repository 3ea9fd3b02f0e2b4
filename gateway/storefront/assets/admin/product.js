// One product: what it is, how many there are, and taking it off sale.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { askToConfirm, load, skeleton, toast } from "../lib/feedback.js";
import { checkForm, clearProblems, showProblems, whileBusy } from "../lib/forms.js";
import { linkTo, navigate, setTitle } from "../lib/router.js";
import { conflictPanel } from "./conflict.js";
import { card, moment, pageHead, refusalNote } from "./parts.js";
import { findDifferences, productFields, readProduct } from "./product-form.js";
import { stockCard } from "./stock.js";

// From here on the catalogue numbers the shop's own products, of which no source says anything.
const FIRST_LOCAL_ID = 9_000_000_000_000_000;
const FOLLOWED = ["sku", "title", "brand", "category", "unit_amount", "description", "rating", "images", "stock"];

export async function view({ params, signal }) {
  const id = encodeURIComponent(params.id);
  const heading = h("span", null, "Product");
  const room = h("div");
  // An address with an argument is not kept by the gateway, and whoever edits wants no answer that is two seconds old.
  const read = () => call("GET", `/products/${id}`, { query: { as: "edited" }, signal });

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
          "What it is",
          editForm(product, read, (saved) => {
            setTitle(saved.title);
            replace(heading, saved.title);
          }),
        ),
      ),
      h(
        "div",
        null,
        stockCard(id, signal),
        product.id < FIRST_LOCAL_ID && sourceCard(read, show),
        removeCard(product, signal),
      ),
    );
  }
  const show = () => load(room, read, render, { skeleton: skeleton("rows", 8), signal });
  show();
  const seen = h("a", { class: "button", href: linkTo(`/products/${id}`) }, "As customers see it");
  return [pageHead(heading, { back: { path: "/admin/products", text: "Products" }, actions: seen }), room];
}

/** Return a form that saves what was changed in it, and asks if somebody else has changed the product meanwhile. */
function editForm(product, read, onSaved) {
  let seen = product;
  const fields = h("div", null, productFields(seen));
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

  function show(now) {
    seen = now;
    replace(fields, productFields(now));
    replace(version, `Version ${now.version}, changed `, moment(now.updated_at));
    replace(conflict);
    clearProblems(form);
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const mine = readProduct(form);
    const changed = findDifferences(seen, mine);
    if (!changed.length) {
      toast("Nothing was changed.");
      return;
    }
    await whileBusy(form, () => save(mine, changed, seen.version));
  }
  async function save(mine, changed, version) {
    const changes = Object.fromEntries(changed.map((name) => [name, mine[name]]));
    replace(conflict);
    clearProblems(form);
    try {
      const saved = await call("PATCH", `/products/${seen.id}`, { body: { ...changes, version } });
      show(saved);
      onSaved(saved);
      toast("The product is saved.", { kind: "good" });
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      if (problem.code !== "version_conflict") {
        showProblems(form, problem);
        return;
      }
      await decide(mine, changed);
    }
  }
  /** Show what has changed since the product was opened, and let the admin decide. */
  async function decide(mine, changed) {
    try {
      const now = await read();
      replace(
        conflict,
        conflictPanel({
          seen,
          now,
          mine,
          changed,
          onOverwrite: () => whileBusy(form, () => save(mine, changed, now.version)),
          onTake: () => {
            show(now);
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

/** Return a card that gives up whatever was edited or counted here, and calls `onDone`. */
function sourceCard(read, onDone) {
  const notice = h("div", { class: "notice-room" });
  async function follow() {
    const sure = await askToConfirm({
      title: "Follow the product source again?",
      text: "All that was edited or counted here is given up, and is as the source's last copy has it.",
      action: "Follow the source",
      danger: true,
    });
    if (!sure) return;
    replace(notice);
    try {
      const { id, version } = await read();
      await call("PATCH", `/products/${id}`, { body: { version, follow_source: FOLLOWED } });
      toast("The product follows its source.", { kind: "good" });
      onDone();
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      replace(notice, refusalNote(problem.message));
    }
  }
  return card(
    "Product source",
    h("p", null, "What is edited or counted here is left alone when the source is copied."),
    notice,
    h("button", { class: "button", type: "button", onclick: follow }, icon("undo"), "Follow the source again"),
  );
}

function removeCard(product, signal) {
  const notice = h("div");
  async function remove() {
    const sure = await askToConfirm({
      title: `Take “${product.title}” off sale?`,
      text: "For good: a copy of the product source does not bring it back. Orders for it stay as they are.",
      action: "Take off sale",
      danger: true,
    });
    if (!sure) return;
    try {
      await call("DELETE", `/products/${product.id}`);
      toast(`“${product.title}” is off sale.`, { kind: "good" });
      if (!signal.aborted) navigate("/admin/products");
    } catch (problem) {
      if (problem.name !== "Problem") throw problem;
      replace(notice, refusalNote(problem.message));
    }
  }
  return card(
    "Off sale",
    h("p", null, "A product that is taken off sale cannot be found or ordered any more."),
    notice,
    h("button", { class: "button button-danger", type: "button", onclick: remove }, icon("trash"), "Take off sale"),
  );
}
