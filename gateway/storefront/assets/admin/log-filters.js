// How log records are looked for, by whoever searches and by whoever follows.
import { h, icon, replace } from "../lib/dom.js";
import { field } from "../lib/forms.js";
import { linkTo, navigate } from "../lib/router.js";
import { filterBar } from "./filters.js";
import { describeStatus, isId, LEVELS, SERVICES, shortId } from "./words.js";

const SHARED = [
  { name: "q", label: "Words", type: "search", maxlength: 200, autocomplete: "off" },
  {
    name: "service",
    label: "Service",
    type: "select",
    options: [["", "Any"], ["gateway", "gateway"], ...SERVICES.map((service) => [service, service])],
  },
  {
    name: "level",
    label: "Level, at least",
    type: "select",
    options: [["", "Any"], ...LEVELS.map((level) => [level, describeStatus(level)[0]])],
  },
];
const TIMES = [
  { name: "since", label: "From", type: "datetime-local", step: 1 },
  { name: "until", label: "Before", type: "datetime-local", step: 1 },
];
// What belongs together: whoever follows one of these ids reads a story.
const THREADS = { order_id: "order", trace_id: "trace", request_id: "request" };
const ALSO = ["instance"];

/**
 * Make a bar of filters for records, with the ids that somebody came with as words that can be taken away.
 *
 * `path` is the page's own, `onChange(values)` is called for each change. Returns `{node, values, set(values)}`, the
 * values being all that the logs are asked for.
 */
export function logFilters({ path, query, isTimed, onChange }) {
  const fixed = Object.fromEntries(
    [...Object.keys(THREADS), ...ALSO].filter((name) => query.get(name)).map((name) => [name, query.get(name)]),
  );
  const fields = isTimed ? [...SHARED, ...TIMES] : SHARED;
  const bar = filterBar(withOwnService(fields, query), query, () => onChange(all()), fixed);
  const all = () => ({ ...bar.values, ...fixed });
  const words = h("ul", { class: "filter-chips", "aria-label": "Only records of" });
  replace(
    words,
    Object.entries(fixed).map(([name, value]) => {
      const { [name]: _left, ...rest } = fixed;
      const text = `${THREADS[name] ?? name} ${value.length > 20 ? shortId(value) : value}`;
      return h(
        "li",
        null,
        h(
          "a",
          { class: "filter-chip", href: linkTo(path, rest), title: value },
          text,
          icon("close"),
          h("span", { class: "visually-hidden" }, "take this filter away"),
        ),
      );
    }),
  );
  return {
    node: h(
      "div",
      { class: "log-filters" },
      bar.node,
      findThread(fixed) ? null : storyForm(),
      words.childElementCount > 0 && words,
    ),
    get values() {
      return all();
    },
    set: bar.set,
  };
}

/** Return what the records of these filters have in common, as [word, id], or null. */
export function findThread(filters) {
  const name = Object.keys(THREADS).find((each) => filters[each]);
  return name ? [THREADS[name], filters[name]] : null;
}

/** Return a form that leads to the story of what somebody has a number of: an order, or a call that went wrong. */
function storyForm() {
  const form = h(
    "form",
    {
      class: "inline-form",
      onsubmit: (event) => {
        event.preventDefault();
        const id = form.elements.id.value.trim();
        if (id) navigate("/admin/logs", isId(id) ? { order_id: id.toLowerCase() } : { request_id: id });
      },
    },
    field({
      label: "Number of an order or a request",
      name: "id",
      type: "search",
      maxlength: 128,
      autocomplete: "off",
    }),
    h("button", { class: "button", type: "submit" }, "Tell its story"),
  );
  return form;
}

/** Programs of others log under names of their own. */
function withOwnService(fields, query) {
  const own = query.get("service");
  if (!own) return fields;
  return fields.map((each) =>
    each.name !== "service" || each.options.some(([value]) => value === own)
      ? each
      : { ...each, options: [...each.options, [own, own]] },
  );
}
