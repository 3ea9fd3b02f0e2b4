// The coupons of the shop, newest first.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, whileBusy } from "../lib/forms.js";
import { generateCoupons } from "./coupon-batch.js";
import { describeConditions, describeDiscount, describeUses, findStatus, termFields } from "./coupon-terms.js";
import { filterBar } from "./filter-bar.js";
import { makeList } from "./list.js";
import { badge, moment } from "./parts.js";
import { findCurrency, KEPT, noCurrencyPanel, pricingHead, showFormProblems } from "./pricing.js";
import { renewRow, rowActions } from "./pricing-rows.js";

const PATH = "/coupons";
const HEADING = ["Coupons", "/admin/pricing/coupons"];

export async function view({ query, signal }) {
  const currency = await findCurrency(signal);
  if (!currency) return [pricingHead(...HEADING), noCurrencyPanel()];
  const notice = h("div", { class: "notice-room" });
  const columns = [
    { title: "Code", kind: "main", cell: ({ code }) => h("span", { class: "value coupon-code" }, code) },
    { title: "Discount", cell: (coupon) => describeDiscount(coupon, currency) },
    { title: "Conditions", cell: conditions },
    { title: "Uses", kind: "number", cell: describeUses },
    { title: "Status", cell: status },
    { title: "Actions", cell: actions },
  ];
  const list = makeList({
    path: PATH,
    caption: "Coupons, newest first",
    columns,
    noun: "coupon",
    empty: ["No coupons found", "Add a coupon, or search for another beginning of a code."],
    signal,
  });
  const filters = filterBar(
    [{ name: "q", label: "Beginning of the code", type: "search", maxlength: 50, autocomplete: "off" }],
    query,
    list.show,
  );
  const refresh = () => list.show(filters.values);

  function conditions(coupon) {
    const texts = describeConditions(coupon, currency);
    return texts.length
      ? h(
          "div",
          { class: "cell-lines" },
          texts.map((text) => h("div", null, text)),
        )
      : "None";
  }
  function status(coupon) {
    const { starts, ends } = coupon;
    return h(
      "div",
      { class: "cell-lines" },
      h("div", null, badge(findStatus(coupon))),
      starts && new Date(starts) > Date.now() && h("small", { class: "faint" }, "from ", moment(starts)),
      ends && h("small", { class: "faint" }, "until ", moment(ends)),
    );
  }
  function actions(coupon) {
    const { code, active } = coupon;
    const renew = (saved, action) => renewRow(`${action}-${code}`, columns, saved);
    return rowActions({
      key: code,
      title: code,
      path: `${PATH}/${encodeURIComponent(code)}`,
      active,
      edit: () => editCoupon({ coupon, currency, onSaved: (saved) => renew(saved, "edit") }),
      loss: `Customers can no longer use it. ${KEPT}`,
      notice,
      onSwitched: (saved) => renew(saved, "switch"),
      onDeleted: refresh,
    });
  }

  list.show(filters.values);
  const head = pricingHead(...HEADING, [
    h(
      "button",
      { class: "button button-primary", type: "button", onclick: () => editCoupon({ currency, onSaved: refresh }) },
      icon("plus"),
      "Add coupon",
    ),
    h(
      "button",
      { class: "button", type: "button", onclick: () => generateCoupons({ currency, onDone: refresh }) },
      "Generate coupons",
    ),
  ]);
  return [head, filters.node, notice, list.node];
}

/** Add a coupon, or edit `coupon`, in a dialog; `onSaved(saved)` is called once it is saved. */
function editCoupon({ coupon, currency, onSaved }) {
  const terms = termFields(coupon, currency);
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    !coupon &&
      field({
        label: "Code",
        name: "code",
        required: true,
        maxlength: 50,
        // A code with a slash would have no address of its own.
        pattern: "[^\\s\\/\\\\]+",
        title: "Without spaces and slashes",
        autocomplete: "off",
        spellcheck: "false",
        hint: "Customers enter it in capital or small letters, such as WELCOME10.",
      }),
    terms.node,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
    ),
  );
  const dialog = openDialog({
    title: coupon ? `Edit ${coupon.code}` : "Add coupon",
    content: form,
    kind: "dialog-wide",
  });
  form.querySelector("input, select").focus();

  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const changes = terms.read(form);
    const body = coupon ? changes : { code: readForm(form).code, ...changes };
    await whileBusy(form, async () => {
      try {
        const saved = await (coupon
          ? call("PATCH", `${PATH}/${encodeURIComponent(coupon.code)}`, { body })
          : call("POST", PATH, { body }));
        dialog.close();
        toast(`Saved ${saved.code}.`, { kind: "good" });
        onSaved(saved);
      } catch (problem) {
        showFormProblems(form, problem, "coupon_exists", "code");
      }
    });
  }
}
