// Money, numbers and times in the browser's locale.

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

/** Format an amount in minor units; return a dash for an unknown amount. */
export function formatMoney(amount, currency) {
  if (amount === null || amount === undefined || !currency) return "–";
  const { number, unit } = findMoneyFormat(currency);
  return number.format(amount / unit);
}

/** Return the number of minor units in one unit of the currency: 100 for USD, 1 for JPY. */
export function minorUnits(currency) {
  return findMoneyFormat(currency).unit;
}

/** Format a date and time in the browser's time zone. */
export function formatTime(iso) {
  return iso ? TIME.format(new Date(iso)) : "–";
}

/** Return a time as the value of a `datetime-local` control, in the browser's time zone; "" without one. */
export function toLocalTime(iso) {
  const time = new Date(iso ?? NaN);
  if (Number.isNaN(time.getTime())) return "";
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Format a time relative to now: `2 minutes ago`. */
export function formatAgo(iso) {
  if (!iso) return "–";
  const seconds = (new Date(iso) - Date.now()) / 1000;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  // The server's clock may differ by some seconds.
  return Math.abs(seconds) < 10 ? AGO.format(0, "second") : AGO.format(Math.trunc(seconds / length), unit);
}

/** Format a number with the locale's separators. */
export function formatNumber(number) {
  return number === null || number === undefined ? "–" : NUMBER.format(number);
}
