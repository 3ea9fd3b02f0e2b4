// A filter bar that keeps its values in the URL, so that a page can be bookmarked, shared and reloaded.
import { h } from "../lib/dom.js";
import { field, readForm } from "../lib/forms.js";
import { toLocalTime } from "../lib/format.js";
import { setQuery } from "../lib/router.js";

/**
 * Return `{node, values, set(values)}`. `fields` are options of `field`; each `name` is also the query
 * parameter. The URL has the values of `datetime-local` fields in UTC.
 *
 * `onChange(values)` is called on each change; `fixed` are further parameters to keep in the URL.
 */
export function filterBar(fields, query, onChange, fixed = {}) {
  const initial = Object.fromEntries(fields.map((each) => [each.name, query.get(each.name)]));
  const form = h(
    "form",
    { class: "filter-bar", role: "search", "aria-label": "Filters", onchange: change, onsubmit: submit },
    fields.map((each) => field({ ...each, value: toControl(each, initial[each.name]) })),
    h(
      "div",
      { class: "filter-actions" },
      h("button", { class: "button", type: "submit" }, "Apply"),
      h("button", { class: "button button-quiet", type: "button", onclick: () => set({}) }, "Clear filters"),
    ),
  );
  let values = read();

  function read() {
    const raw = readForm(form);
    return Object.fromEntries(
      fields.filter(({ name }) => raw[name]).map((each) => [each.name, fromControl(each, raw[each.name])]),
    );
  }
  function change() {
    const now = read();
    if (JSON.stringify(now) !== JSON.stringify(values)) apply(now);
  }
  function submit(event) {
    event.preventDefault();
    apply(read());
  }
  function apply(now) {
    values = now;
    setQuery({ ...values, ...fixed });
    onChange(values);
  }
  function set(wanted) {
    for (const each of fields) form.elements[each.name].value = toControl(each, wanted[each.name] ?? "");
    apply(wanted);
  }
  return {
    node: form,
    get values() {
      return values;
    },
    set,
  };
}

function toControl({ type }, value) {
  return type === "datetime-local" ? toLocalTime(value) : (value ?? "");
}

function fromControl({ type }, value) {
  return type === "datetime-local" ? new Date(value).toISOString() : value;
}
