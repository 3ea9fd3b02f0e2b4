// The dialog that generates many coupons with the same terms, and hands out their codes.
import { call } from "../lib/api.js";
import { h, icon, replace } from "../lib/dom.js";
import { announce, openDialog, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, whileBusy } from "../lib/forms.js";
import { countOf } from "../lib/labels.js";
import { termFields } from "./coupon-terms.js";
import { showFormProblems } from "./pricing.js";

const MAX_COUNT = 1000;
const COLUMNS = ["code", "percent", "amount", "free_shipping", "minimum", "starts", "ends", "limit"];

/** Generate coupons in a dialog; `onDone` is called once they exist. */
export function generateCoupons({ currency, onDone }) {
  const terms = termFields(null, currency, 1);
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    h(
      "div",
      { class: "product-fields" },
      field({
        label: "Number of coupons",
        name: "count",
        type: "number",
        inputmode: "numeric",
        required: true,
        min: 1,
        max: MAX_COUNT,
        step: 1,
        value: 10,
      }),
      field({
        label: "Prefix",
        name: "prefix",
        maxlength: 30,
        pattern: "[^\\s\\/\\\\]+",
        title: "Without spaces and slashes",
        autocomplete: "off",
        spellcheck: "false",
        hint: "Such as SPRING-. Ten random letters and digits follow.",
      }),
    ),
    terms.node,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("plus"), "Generate"),
    ),
  );
  const room = h("div", null, form);
  const dialog = openDialog({ title: "Generate coupons", content: room, kind: "dialog-wide" });
  form.elements.count.focus();

  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const { count, prefix } = readForm(form);
    const body = { count, prefix, ...terms.read(form) };
    await whileBusy(form, async () => {
      try {
        const { data } = await call("POST", "/coupons/generate", { body });
        showCodes(data);
        onDone();
      } catch (problem) {
        showFormProblems(form, problem);
      }
    });
  }
  function showCodes(coupons) {
    const codes = field({
      label: "Codes",
      name: "codes",
      type: "textarea",
      rows: 10,
      readonly: true,
      required: true,
      value: coupons.map(({ code }) => code).join("\n"),
    });
    const control = codes.querySelector("textarea");
    dialog.querySelector("h2").textContent = `${countOf(coupons.length, "coupon")} generated`;
    replace(
      room,
      h(
        "div",
        { class: "stack" },
        codes,
        h(
          "div",
          { class: "dialog-actions" },
          h("button", { class: "button", type: "button", onclick: () => copy(control) }, "Copy codes"),
          h("button", { class: "button", type: "button", onclick: () => download(coupons) }, "Download CSV"),
          h("button", { class: "button button-primary", type: "button", onclick: () => dialog.close() }, "Done"),
        ),
      ),
    );
    control.focus();
    announce(`${countOf(coupons.length, "coupon")} generated.`);
  }
}

async function copy(control) {
  control.select();
  // Browsers provide the clipboard only over HTTPS and on localhost.
  try {
    await navigator.clipboard.writeText(control.value);
    toast("Codes copied.", { kind: "good" });
  } catch {
    toast("Could not copy. The codes are selected, so you can copy them yourself.");
  }
}

/** Save the coupons as a file of comma-separated values (RFC 4180), with amounts in minor units as in the API. */
function download(coupons) {
  const write = (value) => {
    const text = String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = [COLUMNS, ...coupons.map((coupon) => COLUMNS.map((name) => coupon[name]))];
  const text = rows.map((row) => `${row.map(write).join(",")}\r\n`).join("");
  const href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  h("a", { href, download: "coupons.csv" }).click();
  // The browser has read the address once the click is handled.
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}
