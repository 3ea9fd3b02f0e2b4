// Texts that several pages show.
import { formatNumber } from "./format.js";

/** Return `an_identifier` as `An identifier`. */
export function toSentence(word) {
  const text = word.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return a number with its noun: `1 item`, `2,000 items`. */
export function countOf(number, one, many = `${one}s`) {
  return `${formatNumber(number)} ${number === 1 ? one : many}`;
}
