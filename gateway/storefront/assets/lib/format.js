// Money, numbers and times as people of the browser's language write them.

const moneyFormats = new Map();
const NUMBER = new Intl.NumberFormat();
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const AGO = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

function findMoneyFormat(currency) {
  let format = moneyFormats.get(currency);
  if (!format) {
    const number = new Intl.NumberFormat(undefined, { style: "currency", currency });
    format = { number, unit: 10 ** number.resolvedOptions().maximumFractionDigits };
    moneyFormats.set(currency, format);
  }
  return format;
}

/** Return an amount of minor units with its currency; a dash for an amount that is not known. */
export function formatMoney(amount, currency) {
  if (amount === null || amount === undefined || !currency) return "–";
  const { number, unit } = findMoneyFormat(currency);
  return number.format(amount / unit);
}

/** Return how many minor units the currency's unit has: 100 for USD, 1 for JPY. */
export function minorUnits(currency) {
  return findMoneyFormat(currency).unit;
}

/** Return a date with its time of day, in the reader's time zone. */
export function formatTime(iso) {
  return iso ? TIME.format(new Date(iso)) : "–";
}

/** Return how long ago it was, or in how long it will be: `2 minutes ago`. */
export function formatAgo(iso) {
  if (!iso) return "–";
  const seconds = (new Date(iso) - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  // Within some seconds the clocks of two machines may disagree.
  return Math.abs(seconds) < 10 ? AGO.format(0, "second") : AGO.format(Math.trunc(seconds / length), unit);
}

/** Return a number with the language's separators. */
export function formatNumber(number) {
  return number === null || number === undefined ? "–" : NUMBER.format(number);
}
