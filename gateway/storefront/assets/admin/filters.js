// A bar of filters whose values stand in the address, so that a page can be bookmarked, sent on and reloaded.
import { h } from "../lib/dom.js";
import { field, readForm } from "../lib/forms.js";
import { setQuery } from "../lib/router.js";

/**
 * Make a bar of filters. `fields` are those of `field`, each with its `name` in the address; of the type
 * `datetime-local` the address has the moment in UTC.
 *
 * `onChange(values)` is called when one of them changes; `fixed` stays in the address, too. Returns `{node, values,
 * set(values)}`.
 */
export function filterBar(fields, query, onChange, fixed = {}) {
  const known = Object.fromEntries(fields.map((each) => [each.name, query.get(each.name)]));
  const form = h(
    "form",
    { class: "filter-bar", role: "search", "aria-label": "Filters", onchange: change, onsubmit: submit },
    fields.map((each) => field({ ...each, value: toControl(each, known[each.name]) })),
    h(
      "div",
      { class: "filter-actions" },
      h("button", { class: "button", type: "submit" }, "Show"),
      h("button", { class: "button button-quiet", type: "button", onclick: () => set({}) }, "Clear filters"),
    ),
  );
  let values = read();

  function read() {
    const read = readForm(form);
    return Object.fromEntries(
      fields.filter(({ name }) => read[name]).map((each) => [each.name, fromControl(each, read[each.name])]),
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
  if (type !== "datetime-local" || !value) return value ?? "";
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) return "";
  const local = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}

function fromControl({ type }, value) {
  return type === "datetime-local" ? new Date(value).toISOString() : value;
}
