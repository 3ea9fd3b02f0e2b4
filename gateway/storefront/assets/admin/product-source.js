// The product source: the report of the last sync, and a form to start one.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { field, whileBusy } from "../lib/forms.js";
import { badge, card, errorNote, facts, moment, pageHead } from "./parts.js";
import { makeTable } from "./table.js";

const POLL_INTERVAL = 2000; // Milliseconds.

export async function view({ signal }) {
  const room = h("div");
  const notice = h("div", { class: "notice-room" });
  const read = () =>
    call("GET", "/products/sync", { signal }).catch((problem) => {
      if (problem.code !== "sync_not_found") throw problem;
      return null;
    });
  const form = h(
    "form",
    { class: "stack", onsubmit: submit },
    field({
      label: "Overwrite edits and stock counts made here",
      name: "overwrite",
      type: "checkbox",
      hint: "Otherwise they are kept.",
    }),
    field({
      label: "Allow removing more than half of the products",
      name: "allow_removals",
      type: "checkbox",
      hint: "Otherwise such a sync fails, because the source may be broken.",
    }),
    h("button", { class: "button button-primary", type: "submit" }, icon("refresh"), "Sync now"),
  );
  async function submit(event) {
    event.preventDefault();
    const body = { overwrite: form.elements.overwrite.checked, allow_removals: form.elements.allow_removals.checked };
    replace(notice);
    await whileBusy(form, async () => {
      try {
        let report = await call("POST", "/products/sync", { body });
        while (report.status === "running") {
          replace(room, describe(report));
          await wait(POLL_INTERVAL, signal);
          report = await call("GET", "/products/sync", { signal });
        }
        replace(room, describe(report));
        toast(report.status === "done" ? "Sync complete." : "Sync failed. See the report.", {
          kind: report.status === "done" ? "good" : "bad",
        });
      } catch (problem) {
        if (signal.aborted) return;
        if (problem.name !== "Problem") throw problem;
        replace(notice, errorNote(explain(problem)));
      }
    });
  }
  load(room, read, describe, { skeleton: skeleton("rows", 5), signal });
  return [
    pageHead("Product source", { back: { path: "/admin/products", text: "Products" } }),
    card("Start a sync", form, notice),
    room,
  ];
}

function explain(problem) {
  if (problem.code !== "source_paused") return problem.message;
  return `${problem.body.detail} Try again in ${problem.retryAfter ?? 60} s.`;
}

function describe(report) {
  if (!report) return emptyPanel("No sync yet", "The first sync starts automatically.");
  const rejected = makeTable("Rejected entries", [
    { title: "ID", kind: "main", cell: (entry) => entry.id ?? "none" },
    { title: "Why", cell: (entry) => entry.reason },
  ]);
  rejected.show(report.rejected);
  const adjusted = makeTable("Dropped fields", [
    { title: "ID", kind: "main", cell: (entry) => entry.id },
    { title: "Field", cell: (entry) => entry.field },
    { title: "Why", cell: (entry) => entry.reason },
  ]);
  adjusted.show(report.adjusted);
  return card(
    "Last sync",
    facts([
      ["Status", badge(report.status)],
      ["Source", report.source],
      ["Started", moment(report.started_at)],
      ["Finished", report.finished_at && moment(report.finished_at)],
      ["Pages", `${formatNumber(report.pages)} (${formatNumber(report.unchanged_pages)} unchanged)`],
      ["Added", formatNumber(report.added)],
      ["Updated", formatNumber(report.changed)],
      ["Removed", formatNumber(report.removed)],
      ["Rejected", formatNumber(report.rejected_count)],
      ["Dropped fields", formatNumber(report.adjusted_count)],
      ["Edits", report.overwrite ? "overwritten" : "kept"],
      ["Details", report.detail],
    ]),
    report.rejected.length > 0 && rejected.node,
    report.adjusted.length > 0 && adjusted.node,
  );
}
