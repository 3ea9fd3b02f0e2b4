// The form fields of a product.
import { h } from "../lib/dom.js";
import { field, readForm } from "../lib/forms.js";
import { minorUnits } from "../lib/format.js";

/** The labels of the editable fields, by their name in the API. */
export const FIELDS = {
  title: "Title",
  sku: "SKU",
  brand: "Brand",
  category: "Category",
  price: "Price",
  description: "Description",
  images: "Image URLs",
  slug: "Slug",
};

/** Return the fields, filled with `product` or empty. */
export function productFields(product) {
  const { title, sku, brand, category, price, currency, description, images = [], slug } = product ?? {};
  const step = currency ? 1 / minorUnits(currency) : "any";
  return h(
    "div",
    { class: "product-fields" },
    field({ label: FIELDS.title, name: "title", required: true, maxlength: 500, value: title, class: "wide" }),
    field({
      label: FIELDS.sku,
      name: "sku",
      required: Boolean(product),
      maxlength: 100,
      value: sku,
      autocomplete: "off",
      hint: product ? null : "Generated if left empty.",
    }),
    field({ label: FIELDS.brand, name: "brand", maxlength: 200, value: brand }),
    field({ label: FIELDS.category, name: "category", required: Boolean(product), maxlength: 100, value: category }),
    field({
      label: currency ? `${FIELDS.price} in ${currency}` : FIELDS.price,
      name: "price",
      type: "number",
      inputmode: "decimal",
      required: true,
      min: 0,
      max: 10_000_000,
      step,
      value: currency ? price.toFixed(Math.log10(minorUnits(currency))) : price,
    }),
    field({
      label: FIELDS.description,
      name: "description",
      type: "textarea",
      rows: 5,
      maxlength: 20_000,
      value: description,
      class: "wide",
    }),
    field({
      label: FIELDS.images,
      name: "images",
      type: "textarea",
      rows: 2,
      value: images.join("\n"),
      class: "wide",
      hint: "One URL per line, such as /images/kit-0001.svg.",
    }),
    product &&
      field({
        label: FIELDS.slug,
        name: "slug",
        required: true,
        maxlength: 100,
        pattern: "[a-z0-9]+(-[a-z0-9]+)*",
        title: "Lower-case letters, digits and single hyphens",
        value: slug,
        autocomplete: "off",
        class: "wide",
        hint: `The address of the product is /p/${slug}. A former address redirects.`,
      }),
  );
}

/** Return the product in the form, in the shape of the API. */
export function readProduct(form) {
  const { title, sku, brand, category, price, description, images, slug } = readForm(form);
  return {
    title,
    sku,
    brand,
    category,
    price,
    description: description ?? "",
    slug,
    images: (images ?? "")
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
  };
}

/** Return the names of the `FIELDS` in which two products differ. */
export function findDifferences(one, other) {
  return Object.keys(FIELDS).filter((name) => JSON.stringify(one[name]) !== JSON.stringify(other[name]));
}
