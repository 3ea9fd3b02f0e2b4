// The filters of log records, for the search and for the live tail.
import { h, icon } from "../lib/dom.js";
import { field } from "../lib/forms.js";
import { linkTo, navigate } from "../lib/router.js";
import { filterBar } from "./filter-bar.js";
import { describeStatus, isId, LEVELS, SERVICES, shortId } from "./labels.js";

const SHARED = [
  { name: "q", label: "Search", type: "search", maxlength: 200, autocomplete: "off" },
  {
    name: "service",
    label: "Service",
    type: "select",
    options: [["", "Any"], ["gateway", "gateway"], ...SERVICES.map((service) => [service, service])],
  },
  {
    name: "level",
    label: "Minimum level",
    type: "select",
    options: [["", "Any"], ...LEVELS.map((level) => [level, describeStatus(level)[0]])],
  },
];
const TIMES = [
  { name: "since", label: "From", type: "datetime-local", step: 1 },
  { name: "until", label: "To", type: "datetime-local", step: 1 },
];
// Filters for all records of an order, a trace or a request. They are links and chips, not fields.
const TRACES = { order_id: "order", trace_id: "trace", request_id: "request" };

/**
 * Return `{node, values, set(values)}`: the filter bar, and a chip for each id in the query.
 *
 * `path` is the path of the page; `onChange(values)` is called on each change. The values are query
 * parameters of the logs.
 */
export function logFilters({ path, query, isTimed, onChange }) {
  const ids = Object.fromEntries(
    Object.keys(TRACES)
      .filter((name) => query.get(name))
      .map((name) => [name, query.get(name)]),
  );
  const fields = isTimed ? [...SHARED, ...TIMES] : SHARED;
  const bar = filterBar(withThirdPartyService(fields, query), query, () => onChange(all()), ids);
  const all = () => ({ ...bar.values, ...ids });
  const chips = Object.entries(ids).map(([name, id]) => {
    const { [name]: _removed, ...rest } = ids;
    return h(
      "li",
      null,
      h(
        "a",
        { class: "chip", href: linkTo(path, rest), title: id },
        `${TRACES[name]} ${id.length > 20 ? shortId(id) : id}`,
        icon("close"),
        h("span", { class: "visually-hidden" }, "Remove filter"),
      ),
    );
  });
  return {
    node: h(
      "div",
      { class: "log-filters" },
      bar.node,
      chips.length ? h("ul", { class: "chips plain-list", "aria-label": "Active filters" }, chips) : traceForm(),
    ),
    get values() {
      return all();
    },
    set: bar.set,
  };
}

/** Return what the filters trace, as `[noun, id]`; null if they have no id. */
export function findTrace(filters) {
  const name = Object.keys(TRACES).find((each) => filters[each]);
  return name ? [TRACES[name], filters[name]] : null;
}

/** Return a form that opens the trace of an order or a request by its id. */
function traceForm() {
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
      label: "Trace an order or a request by ID",
      name: "id",
      type: "search",
      maxlength: 128,
      autocomplete: "off",
    }),
    h("button", { class: "button", type: "submit" }, "Trace"),
  );
  return form;
}

/** Add the service of the query to the options, because API clients log under names of their own. */
function withThirdPartyService(fields, query) {
  const service = query.get("service");
  if (!service) return fields;
  return fields.map((each) =>
    each.name !== "service" || each.options.some(([value]) => value === service)
      ? each
      : { ...each, options: [...each.options, [service, service]] },
  );
}
