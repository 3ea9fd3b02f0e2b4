// The form fields of a product.
import { h } from "../lib/dom.js";
import { field, readForm } from "../lib/forms.js";
import { sortMetadata } from "./metadata.js";

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
  compare_at_amount: "Compare-at price",
  weight_grams: "Weight in g",
  low_stock_threshold: "Low stock at",
  tax_class: "Tax class",
  metadata: "Further fields",
};
/** The fields that a product with options has on each variant instead. */
export const SOLD = ["sku", "price", "compare_at_amount", "weight_grams", "low_stock_threshold"];
export const DESCRIBED = Object.keys(FIELDS).filter((name) => !SOLD.includes(name));

/** Return the fields, filled with `product` or empty. */
export function productFields(product) {
  const { title, brand, category, description, images = [], slug, tax_class } = product ?? {};
  return h(
    "div",
    { class: "product-fields" },
    field({ label: FIELDS.title, name: "title", required: true, maxlength: 500, value: title, class: "wide" }),
    field({ label: FIELDS.brand, name: "brand", maxlength: 200, value: brand }),
    field({ label: FIELDS.category, name: "category", required: Boolean(product), maxlength: 100, value: category }),
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
    field({
      label: FIELDS.tax_class,
      name: "tax_class",
      maxlength: 50,
      value: tax_class,
      autocomplete: "off",
      hint: "Such as reduced. Empty for the standard rate.",
    }),
  );
}

/** Return the product in the form, in the shape of the API. */
export function readProduct(form) {
  const { title, brand, category, description, images, slug, tax_class } = readForm(form);
  return {
    title,
    brand,
    category,
    tax_class,
    description: description ?? "",
    slug,
    images: (images ?? "")
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
  };
}

/** Return the names of those `FIELDS` in which two products differ. */
export function findDifferences(one, other, names = Object.keys(FIELDS)) {
  const write = ({ metadata, ...rest }, name) =>
    JSON.stringify(name === "metadata" ? sortMetadata(metadata ?? {}) : rest[name]);
  return names.filter((name) => write(one, name) !== write(other, name));
}
