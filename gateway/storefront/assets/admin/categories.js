// The tree of categories: titles, order and paths.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { emptyPanel, load, openDialog, skeleton, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, showProblems, whileBusy } from "../lib/forms.js";
import { countOf } from "../lib/labels.js";
import { linkTo } from "../lib/router.js";
import { categoryPath } from "../shop/catalog.js";
import { card, pageHead, showingProblem } from "./parts.js";

const PAGE = 100;

export async function view({ signal }) {
  const notice = h("div", { class: "notice-room" });
  const room = h("div");
  let focus = null;

  function render(roots) {
    if (!roots.length) return emptyPanel("No categories yet", "A category appears with its first product.");
    return card("Tree", branch(roots));
  }

  function branch(siblings) {
    return h(
      "ul",
      { class: "tree" },
      siblings.map((category, place) => h("li", null, row(category, siblings, place), deeper(category))),
    );
  }

  function deeper({ below }) {
    return below.length > 0 && branch(below);
  }

  function row(category, siblings, place) {
    const { path, title, count } = category;
    return h(
      "div",
      { class: "tree-row" },
      h(
        "div",
        null,
        h("a", { href: linkTo(categoryPath(path)) }, title),
        h("p", { class: "faint small" }, `${path}, ${countOf(count, "product")}`),
      ),
      h(
        "div",
        { class: "button-row" },
        mover(category, siblings, place, -1),
        mover(category, siblings, place, 1),
        h(
          "button",
          {
            class: "button button-small",
            type: "button",
            "aria-label": `Edit ${title}`,
            onclick: () => edit(category),
          },
          "Edit",
        ),
      ),
    );
  }

  function mover(category, siblings, place, step) {
    const name = step < 0 ? "up" : "down";
    const isLast = !siblings[place + step];
    return h(
      "button",
      {
        class: "button-icon",
        type: "button",
        id: `${name}-${category.path}`,
        "aria-label": `Move ${category.title} ${name}`,
        "aria-disabled": isLast && "true",
        onclick: () => !isLast && swap(siblings, place, step),
      },
      icon(name),
    );
  }

  /** Exchange two neighbours. Positions follow the order that the page shows. */
  async function swap(siblings, place, step) {
    const order = [...siblings];
    [order[place], order[place + step]] = [order[place + step], order[place]];
    focus = `${step < 0 ? "up" : "down"}-${siblings[place].path}`;
    await showingProblem(notice, async () => {
      for (const [position, category] of order.entries()) {
        if (category.position !== position) await change(category.path, { position });
      }
    });
    await show();
  }

  function edit(category) {
    const form = h(
      "form",
      { class: "stack", novalidate: true, onsubmit: submit },
      field({
        label: "Title",
        name: "title",
        maxlength: 100,
        value: category.title,
        hint: "The end of the path if left empty.",
      }),
      field({
        label: "Path",
        name: "path",
        required: true,
        maxlength: 100,
        value: category.path,
        autocomplete: "off",
        hint: "Such as kitchen/knives. Categories and products below move with it, and old addresses redirect.",
      }),
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
      ),
    );
    const dialog = openDialog({ title: `Edit ${category.title}`, content: form });
    async function submit(event) {
      event.preventDefault();
      if (!checkForm(form)) return;
      const { title, path } = readForm(form);
      const changes = {
        ...(title !== category.title && { title }),
        ...(path !== category.path && { path }),
      };
      if (!Object.keys(changes).length) {
        dialog.close();
        return;
      }
      await whileBusy(form, async () => {
        try {
          const saved = await change(category.path, changes);
          dialog.close();
          toast(`Saved ${saved.title}.`, { kind: "good" });
          await show();
        } catch (problem) {
          if (problem.name !== "Problem") throw problem;
          showProblems(form, problem);
        }
      });
    }
  }

  async function show() {
    await load(room, () => fetchTree(signal), render, { skeleton: skeleton("rows", 8), signal });
    if (focus) document.getElementById(focus)?.focus();
    focus = null;
  }

  show();
  return [pageHead("Categories"), notice, room];
}

function change(path, body) {
  return call("PATCH", categoryPath(path).replace("/c/", "/categories/"), { body });
}

/** Return the categories without a parent, each with its children as `below`. */
async function fetchTree(signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await call("GET", "/categories", { query: { limit: PAGE, cursor }, signal });
    found.push(...page.data);
    cursor = page.next;
  } while (cursor);
  const byPath = new Map(found.map((category) => [category.path, { ...category, below: [] }]));
  const children = new Set();
  for (const category of byPath.values()) {
    category.below = category.children.map(({ path }) => byPath.get(path)).filter(Boolean);
    for (const { path } of category.children) children.add(path);
  }
  const roots = [...byPath.values()].filter(({ path }) => !children.has(path));
  return roots.sort((one, other) => one.position - other.position || one.title.localeCompare(other.title));
}
