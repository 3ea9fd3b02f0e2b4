// The dialog to add or change a tax rate.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { openDialog, toast } from "../lib/feedback.js";
import { checkForm, field, readForm, whileBusy } from "../lib/forms.js";
import { describeCountry } from "../lib/order-labels.js";
import { guessCountry } from "../shop/countries.js";
import { BASIS_POINTS, countryField, readRegion, showFormProblems } from "./pricing.js";

const PATH = "/tax-rates";

/** Return the place of a rate: `Germany`, or `United States, US-CA`. */
export function describePlace({ country, region }) {
  return region ? `${describeCountry(country)}, ${region}` : describeCountry(country);
}

/** Add a tax rate, or change the percentage and the title of `rate`, in a dialog; then call `onSaved`. */
export function editRate({ rate, onSaved }) {
  const form = h(
    "form",
    { class: "stack", novalidate: true, onsubmit: submit },
    !rate && [
      countryField({ value: guessCountry(), onchange: checkRegion }),
      field({
        label: "Region",
        name: "region",
        maxlength: 10,
        autocomplete: "off",
        oninput: checkRegion,
        hint: "A code such as US-CA. Empty for the whole country.",
      }),
      field({
        label: "Tax class",
        name: "tax_class",
        maxlength: 100,
        autocomplete: "off",
        hint: "Such as reduced. Empty for all products without a rate of their class.",
      }),
    ],
    rateFields(rate),
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { class: "button button-primary", type: "submit" }, icon("check"), "Save"),
    ),
  );
  const place = rate && [describePlace(rate), rate.tax_class].filter(Boolean).join(", ");
  const dialog = openDialog({ title: rate ? `Edit the rate of ${place}` : "Add tax rate", content: form });
  form.querySelector("input, select").focus();

  function findRegion() {
    const { region, country } = form.elements;
    return region.value.trim() ? readRegion(region.value.trim(), () => [country.value]) : null;
  }
  function checkRegion() {
    let fault = "";
    try {
      findRegion();
    } catch (error) {
      fault = error.message;
    }
    form.elements.region.setCustomValidity(fault);
  }
  async function submit(event) {
    event.preventDefault();
    if (!checkForm(form)) return;
    const values = readForm(form);
    const terms = { title: values.title, rate: toBasisPoints(values.rate) };
    const body = rate
      ? terms
      : { country: values.country, region: findRegion(), tax_class: values.tax_class, ...terms };
    await whileBusy(form, async () => {
      try {
        const saved = await (rate ? call("PATCH", `${PATH}/${rate.id}`, { body }) : call("POST", PATH, { body }));
        dialog.close();
        toast(`Saved ${saved.title}.`, { kind: "good" });
        onSaved();
      } catch (problem) {
        showFormProblems(form, problem, "tax_rate_exists", "country");
      }
    });
  }
}

/** Return the fields of the percentage and the title of a rate, which customers see. */
export function rateFields({ rate, title } = {}) {
  return [
    field({
      label: "Rate (%)",
      name: "rate",
      type: "number",
      inputmode: "decimal",
      required: true,
      min: 0,
      max: 100,
      step: 1 / BASIS_POINTS,
      value: rate === undefined ? "" : rate / BASIS_POINTS,
    }),
    field({
      label: "Title",
      name: "title",
      required: true,
      maxlength: 200,
      value: title,
      autocomplete: "off",
      hint: "Customers see it, such as VAT 19 %.",
    }),
  ];
}

/** Return a percentage in basis points. */
export function toBasisPoints(percent) {
  return Math.round(percent * BASIS_POINTS);
}
