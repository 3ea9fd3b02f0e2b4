// Products from a file of JSON Lines: all of them, or none.
import { call, Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/format.js";
import { checkForm, field, whileBusy } from "../lib/forms.js";
import { linkTo } from "../lib/router.js";
import { card, facts, pageHead } from "./parts.js";
import { makeTable } from "./table.js";

const EXAMPLE = '{"sku": "TEA-0001", "title": "Teapot", "category": "Kitchen", "price": 19.5, "on_hand": 12}';

export async function view({ signal }) {
  const outcome = h("div", { class: "import-outcome", tabindex: "-1" });
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    field({ label: "File", name: "file", type: "file", accept: ".jsonl,.ndjson,.json", required: true }),
    h("button", { class: "button button-primary", type: "submit" }, "Import"),
  );
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const [file] = form.elements.file.files;
    await whileBusy(form, () => importFile(file, outcome, signal));
  }
  return [
    pageHead("Import products", { back: { path: "/admin/products", text: "Products" } }),
    card(
      "A file of JSON Lines",
      h(
        "p",
        null,
        "Each line is a product, and sets what is in it. A line is about the product with its ",
        h("code", null, "id"),
        ", else the one with its ",
        h("code", null, "sku"),
        ", else a new one. All lines are loaded or none. ",
        "What Export gives can be edited and imported again.",
      ),
      h("pre", { tabindex: "0" }, h("code", null, EXAMPLE)),
      form,
    ),
    outcome,
  ];
}

async function importFile(file, outcome, signal) {
  const giveUp = new AbortController();
  const both = AbortSignal.any([signal, giveUp.signal]);
  const bar = h("progress", { "aria-label": "Import", max: 1 });
  const words = h("p", { role: "status" }, `${file.name} is being sent and looked at …`);
  const stop = h(
    "button",
    { class: "button", type: "button", onclick: () => giveUp.abort() },
    "Stop; nothing is loaded then",
  );
  replace(outcome, card("Importing", bar, words, stop));
  try {
    const response = await call("POST", "/products/import", {
      body: file,
      headers: { "Content-Type": "application/x-ndjson" },
      signal: both,
      raw: true,
    });
    let last = null;
    for await (const line of readLines(response.body)) {
      last = line;
      bar.value = line.rows ? line.applied / line.rows : 1;
      words.textContent = `${formatNumber(line.applied)} of ${formatNumber(line.rows)} rows are done.`;
    }
    // Only a last line that says so means that it was loaded.
    if (last?.status !== "done") throw new Problem(500, last ?? { code: "broken_off" });
    replace(outcome, success(last));
  } catch (problem) {
    if (signal.aborted) return;
    replace(outcome, giveUp.signal.aborted ? stopped() : refusal(problem));
  }
  outcome.focus();
}

/** Yield a JSON value for each line, as they arrive. */
async function* readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let done, value;
    try {
      ({ done, value } = await reader.read());
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { code: "unreachable" });
    }
    const lines = (rest + (value ?? "")).split("\n");
    rest = done ? "" : lines.pop();
    for (const line of lines) if (line.trim()) yield JSON.parse(line);
    if (done) return;
  }
}

function success({ rows, added, changed }) {
  return card(
    "All rows are loaded",
    facts([
      ["Rows", formatNumber(rows)],
      ["Added", formatNumber(added)],
      ["Changed", formatNumber(changed)],
    ]),
    h("a", { class: "button", href: linkTo("/admin/products", { sort: "newest" }) }, "To the products"),
  );
}

function stopped() {
  return card("Stopped", h("p", null, "Nothing was loaded."));
}

function refusal(problem) {
  if (problem.code !== "import_refused") {
    const text = problem.name === "Problem" ? problem.message : "A line of the answer could not be read.";
    const hint =
      problem.code === "import_running"
        ? null
        : "Nothing was loaded, unless the answer was lost at the very end: importing the file once more is harmless.";
    return card("That did not work", h("p", { role: "alert" }, text), hint && h("p", { class: "faint" }, hint));
  }
  const { rows, rejected, errors } = problem.body;
  const table = makeTable("Rows that are not right", [
    { title: "Row", kind: "main", cell: (error) => error.location.replace("row ", "") },
    { title: "Field", cell: (error) => (error.field ? h("code", null, error.field) : "–") },
    { title: "What is wrong", cell: (error) => error.detail },
  ]);
  table.show(errors);
  const faulty = `${formatNumber(rejected)} of ${formatNumber(rows)} rows ${rejected === 1 ? "is" : "are"} not right`;
  return card(
    "Nothing was loaded",
    h("p", { role: "alert" }, icon("alert"), ` ${faulty}. Mend what is wrong, and import the file again.`),
    rejected > errors.length && h("p", { class: "faint" }, `The first ${formatNumber(errors.length)} are named.`),
    table.node,
  );
}
