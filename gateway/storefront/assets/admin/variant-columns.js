// The columns of the variants' table: how each reads what an admin types or pastes, and what the API gets.
import { minorUnits } from "../lib/format.js";
import { describeMetadata, sortMetadata } from "./metadata.js";

const MAX_AMOUNT = 1_000_000_000; // Minor units.
const MAX_COUNT = 2_147_483_648;
const MAX_GRAMS = 100_000_000;
// One thousand two hundred is 1200, 1,200 or 1,200.00; one and a half is 1.5 or 1,5.
const NUMBER = /^(\d{1,3}(?:,\d{3})+|\d+)(?:[.,](\d+))?$/;

/**
 * Return the columns `{name, label, inputmode, read(text), show(value)}`; `name` is the member in the API.
 *
 * A column without an `inputmode` is edited in a dialog, and `describe(text)` returns what an admin reads.
 * `read` returns the member's value, null for an empty cell, and throws an Error with a sentence for the
 * admin. Without a currency, which only an empty catalogue lacks, the price is a decimal number.
 */
export function columnsFor(currency) {
  const count = { inputmode: "numeric", show: showCount };
  const price = currency
    ? { ...amount("unit_amount", `Price in ${currency}`, currency), read: required(readAmount(currency)) }
    : { name: "price", label: "Price", inputmode: "decimal", show: showCount, read: required(readNumber) };
  return [
    { name: "sku", label: "SKU", inputmode: "text", show: (value) => value ?? "", read: readSku },
    price,
    ...(currency ? [amount("compare_at_amount", "Compare-at price", currency)] : []),
    { ...count, name: "on_hand", label: "Units on hand", read: required(readCount(MAX_COUNT)) },
    { ...count, name: "weight_grams", label: "Weight in g", read: readCount(MAX_GRAMS) },
    { ...count, name: "low_stock_threshold", label: "Low stock at", read: readCount(MAX_COUNT) },
    { name: "metadata", label: "Further fields", show: showMetadata, read: readMetadata, describe: describeCell },
  ];
}

/** Return an amount in minor units as a decimal number without a currency; "" for null. */
export function showAmount(value, currency) {
  const units = minorUnits(currency);
  return value === null || value === undefined ? "" : (value / units).toFixed(Math.log10(units));
}

/** Return a text as the column shows its value, or unchanged if it is not valid. */
export function normalize({ read, show }, text) {
  try {
    return show(read(text));
  } catch {
    return text;
  }
}

function amount(name, label, currency) {
  const show = (value) => showAmount(value, currency);
  return { name, label, inputmode: "decimal", show, read: readAmount(currency) };
}

function required(read) {
  return (text) => {
    if (!text.trim()) throw new Error("Fill in this cell.");
    return read(text);
  };
}

function readSku(text) {
  const sku = text.trim();
  if (sku.length > 100) throw new Error("A SKU has at most 100 characters.");
  return sku || null;
}

/** Return a reader of amounts in minor units, which are computed from the digits and not from a float. */
function readAmount(currency) {
  const digits = Math.round(Math.log10(minorUnits(currency)));
  return (text) => {
    const [whole, fraction] = readDigits(text);
    if (whole === null) return null;
    if (fraction.length > digits) throw new Error(`${currency} has ${digits} decimal places.`);
    const value = Number(whole + fraction.padEnd(digits, "0"));
    if (value > MAX_AMOUNT) throw new Error("This amount is too large.");
    return value;
  };
}

function readNumber(text) {
  const [whole, fraction] = readDigits(text);
  return whole === null ? null : Number(`${whole}.${fraction || 0}`);
}

function readCount(max) {
  return (text) => {
    const [whole, fraction] = readDigits(text);
    if (whole === null) return null;
    if (fraction) throw new Error("Enter a whole number.");
    if (Number(whole) > max) throw new Error("This number is too large.");
    return Number(whole);
  };
}

/** Return the digits before the decimal point, and those after it without trailing zeros. */
function readDigits(text) {
  // A spreadsheet may copy a cell with the sign of its currency.
  const plain = text.replaceAll(/\s/g, "").replaceAll(/^\p{Sc}|^[A-Z]{3}|\p{Sc}$|[A-Z]{3}$/gu, "");
  if (!plain) return [null, ""];
  const found = NUMBER.exec(plain);
  if (!found) throw new Error("Enter a number, such as 12 or 12.50.");
  return [found[1].replaceAll(",", ""), (found[2] ?? "").replace(/0+$/, "")];
}

// The cell has the metadata as JSON in a fixed order, so that two cells can be compared.
function showMetadata(value) {
  return JSON.stringify(sortMetadata(value ?? {}));
}

function readMetadata(text) {
  return JSON.parse(text || "{}");
}

function describeCell(text) {
  return describeMetadata(readMetadata(text));
}

function showCount(value) {
  return value === null || value === undefined ? "" : String(value);
}
