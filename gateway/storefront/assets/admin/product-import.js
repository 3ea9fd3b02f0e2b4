// The import of products from a JSON Lines file, which imports all rows or none.
import { call, Problem } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { formatNumber } from "../lib/format.js";
import { checkForm, field, whileBusy } from "../lib/forms.js";
import { linkTo } from "../lib/router.js";
import { card, facts, pageHead } from "./parts.js";
import { makeTable } from "./table.js";

const EXAMPLE = '{"sku": "TEA-0001", "title": "Teapot", "category": "Kitchen", "price": 19.5, "on_hand": 12}';

export async function view({ signal }) {
  const outcome = h("div", { tabindex: "-1" });
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
      "Upload a JSON Lines file",
      h(
        "p",
        null,
        "Each line describes one product and changes only the fields it contains. It updates the product with its ",
        h("code", null, "id"),
        ", or else with its ",
        h("code", null, "sku"),
        ". Without a match it adds a product. If one line has an error, nothing is imported. ",
        "You can edit an exported file and import it again.",
      ),
      h("pre", { tabindex: "0" }, h("code", null, EXAMPLE)),
      form,
    ),
    outcome,
  ];
}

async function importFile(file, outcome, signal) {
  const cancellation = new AbortController();
  const both = AbortSignal.any([signal, cancellation.signal]);
  const bar = h("progress", { "aria-label": "Import", max: 1 });
  const status = h("p", { role: "status" }, `Uploading and checking ${file.name}…`);
  const stop = h("button", { class: "button", type: "button", onclick: () => cancellation.abort() }, "Cancel import");
  replace(outcome, card("Importing", bar, status, stop));
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
      status.textContent = `${formatNumber(line.applied)} of ${formatNumber(line.rows)} rows imported.`;
    }
    // Only this status on the last line confirms the import.
    if (last?.status !== "done") throw new Problem(500, last ?? { code: "broken_off" });
    replace(outcome, success(last));
  } catch (problem) {
    if (signal.aborted) return;
    replace(outcome, cancellation.signal.aborted ? cancelled() : failure(problem));
  }
  outcome.focus();
}

/** Yield the JSON value of each line as it arrives. */
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
    "Import complete",
    facts([
      ["Rows", formatNumber(rows)],
      ["Added", formatNumber(added)],
      ["Updated", formatNumber(changed)],
    ]),
    h("a", { class: "button", href: linkTo("/admin/products", { sort: "newest" }) }, "View products"),
  );
}

function cancelled() {
  return card("Import cancelled", h("p", null, "Nothing was imported."));
}

function failure(problem) {
  if (problem.code !== "import_refused") {
    const text = problem.name === "Problem" ? problem.message : "The response could not be read.";
    const hint =
      problem.code === "import_running"
        ? null
        : "Nothing was imported, unless the connection broke at the very end. You can safely import the file again.";
    return card("Import failed", h("p", { role: "alert" }, text), hint && h("p", { class: "faint" }, hint));
  }
  const { rows, rejected, errors } = problem.body;
  const table = makeTable("Rows with errors", [
    { title: "Row", kind: "main", cell: (error) => error.location.replace("row ", "") },
    { title: "Field", cell: (error) => (error.field ? h("code", null, error.field) : "–") },
    { title: "Error", cell: (error) => error.detail },
  ]);
  table.show(errors);
  const summary = `${formatNumber(rejected)} of ${formatNumber(rows)} rows ${rejected === 1 ? "has" : "have"} errors.`;
  return card(
    "Nothing was imported",
    h("p", { role: "alert" }, icon("alert"), ` ${summary} Fix them and import the file again.`),
    rejected > errors.length && h("p", { class: "faint" }, `Showing the first ${formatNumber(errors.length)} errors.`),
    table.node,
  );
}
