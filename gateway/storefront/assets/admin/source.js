// The product source: what the newest copy of it has brought, and another one on request.
import { call, wait } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { emptyPanel, load, skeleton, toast } from "../lib/feedback.js";
import { formatNumber } from "../lib/format.js";
import { field, whileBusy } from "../lib/forms.js";
import { badge, card, facts, moment, pageHead, refusalNote } from "./parts.js";
import { makeTable } from "./table.js";

const PAUSE = 2000;

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
      label: "Take over what was edited or counted here, too",
      name: "overwrite",
      type: "checkbox",
      hint: "Otherwise an admin's edits stay as they are.",
    }),
    field({
      label: "Believe the source if most of its products are gone",
      name: "allow_removals",
      type: "checkbox",
      hint: "Otherwise a source that has lost more than half of them is taken to be broken.",
    }),
    h("button", { class: "button button-primary", type: "submit" }, icon("refresh"), "Copy the source now"),
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
          await wait(PAUSE, signal);
          report = await call("GET", "/products/sync", { signal });
        }
        replace(room, describe(report));
        toast(report.status === "done" ? "The source is copied." : "The copy has failed; see the report.", {
          kind: report.status === "done" ? "good" : "bad",
        });
      } catch (problem) {
        if (signal.aborted) return;
        if (problem.name !== "Problem") throw problem;
        replace(notice, refusalNote(explain(problem)));
      }
    });
  }
  load(room, read, describe, { skeleton: skeleton("rows", 5), signal });
  return [
    pageHead("Product source", { back: { path: "/admin/products", text: "Products" } }),
    card("Copy it now", form, notice),
    room,
  ];
}

function explain(problem) {
  if (problem.code !== "source_paused") return problem.message;
  return `${problem.body.detail} Try again in ${problem.retryAfter ?? 60} s.`;
}

function describe(report) {
  if (!report) return emptyPanel("The source was not copied yet", "The first copy is made by itself.");
  const rejected = makeTable("Entries that were left out", [
    { title: "Id", kind: "main", cell: (entry) => entry.id ?? "none" },
    { title: "Why", cell: (entry) => entry.reason },
  ]);
  rejected.show(report.rejected);
  const adjusted = makeTable("Fields that were left out", [
    { title: "Id", kind: "main", cell: (entry) => entry.id },
    { title: "Field", cell: (entry) => entry.field },
    { title: "Why", cell: (entry) => entry.reason },
  ]);
  adjusted.show(report.adjusted);
  return card(
    "The newest copy",
    facts([
      ["Status", badge(report.status)],
      ["Source", report.source],
      ["Began", moment(report.started_at)],
      ["Ended", report.finished_at && moment(report.finished_at)],
      ["Pages", `${formatNumber(report.pages)}, ${formatNumber(report.unchanged_pages)} of them unchanged`],
      ["Added", formatNumber(report.added)],
      ["Changed", formatNumber(report.changed)],
      ["Removed", formatNumber(report.removed)],
      ["Left out", formatNumber(report.rejected_count)],
      ["Sold without a field", formatNumber(report.adjusted_count)],
      ["Edits", report.overwrite ? "were overwritten" : "were left alone"],
      ["What happened", report.detail],
    ]),
    report.rejected.length > 0 && rejected.node,
    report.adjusted.length > 0 && adjusted.node,
  );
}
