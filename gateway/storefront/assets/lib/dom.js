// DOM elements without templates: user input becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Create an element: `h("a", {class: "card", href: "/#/", onclick: open}, "Text", icon("cart"))`.
 *
 * Props: `dataset`, `on…` (a listener), and those of `PROPERTIES`, which are set as properties; all others
 * become attributes. True sets an empty attribute; null, undefined and false set none. Children: nodes, text,
 * and arrays of them; null, undefined and false are skipped.
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...toNodes(children));
  // The value of a select can be set only once its options exist.
  if (tag === "select" && props?.value !== undefined) element.value = props.value;
  return element;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden"]);

function toNodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace the contents of a node; return the node. */
export function replace(node, ...children) {
  node.replaceChildren(...toNodes(children));
  return node;
}

// SVG paths in a 24 by 24 viewBox.
const ICONS = {
  alert: "M12 8v5M12 16.5v.01M10.3 3.9 2.4 18a2 2 0 0 0 1.7 3h15.8a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0Z",
  arrow: "M5 12h14M13 6l6 6-6 6",
  bank: "M3 10 12 4l9 6M5 10v8M10 10v8M14 10v8M19 10v8M3 20h18",
  box: "M21 8 12 3 3 8v8l9 5 9-5V8ZM3 8l9 5 9-5M12 13v8",
  card: "M3 6h18v12H3zM3 10h18M7 15h3",
  cart: "M3 4h2l2.4 11.2a1 1 0 0 0 1 .8h8.9a1 1 0 0 0 1-.8L20 8H6M9.5 20v.01M17 20v.01",
  check: "M5 12.5 10 17.5 19.5 7",
  clock: "M12 7v5l3 2M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
  close: "M6 6l12 12M18 6 6 18",
  down: "M6 9l6 6 6-6",
  filter: "M4 6h16M7 12h10M10 18h4",
  home: "M4 11 12 4l8 7M6 9.5V20h12V9.5",
  info: "M12 11v5M12 8v.01M21 12a9 9 0 1 1-18 0 9 9 0 0 1 18 0Z",
  left: "M15 6l-6 6 6 6",
  list: "M8 6h12M8 12h12M8 18h12M4 6v.01M4 12v.01M4 18v.01",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  mail: "M3 6h18v12H3zM3.5 6.5 12 13l8.5-6.5",
  minus: "M6 12h12",
  pause: "M9 6v12M15 6v12",
  play: "M8 5l11 7-11 7V5Z",
  plus: "M6 12h12M12 6v12",
  refresh: "M20 11a8 8 0 1 0-.7 4.5M20 5v6h-6",
  right: "M9 6l6 6-6 6",
  search: "M15.8 15.8 21 21M18 10.5a7.5 7.5 0 1 1-15 0 7.5 7.5 0 0 1 15 0Z",
  star: "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.7l5.9-.8L12 3.5Z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  truck:
    "M2 6h12v11H2zM14 10h4l4 4v3h-8M6.5 20a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM17.5 20a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3Z",
  undo: "M8 5 4 9l4 4M4 9h10a6 6 0 0 1 0 12h-3",
  up: "M6 15l6-6 6 6",
  user: "M16 8a4 4 0 1 1-8 0 4 4 0 0 1 8 0ZM4 21a8 8 0 0 1 16 0",
};

/** Return an icon. It is hidden from screen readers, so it needs a text next to it or an aria-label. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}
