// The combinations of the values of a product's options, and changes of lists of values.

export const MAX_VARIANTS = 250;

/** Return the precedence of rows with the same values: existing variants first, then sold ones. */
export function rank(row) {
  return (row.id ? 2 : 0) + (row.isSold ? 1 : 0);
}

/** Return a text that is the same for the same values. */
export function combine(options, choice) {
  return options.map(({ key }) => choice[key]).join();
}

/** Return the number of combinations of the values of these options. */
export function countCombinations(options) {
  return options.reduce((number, { values }) => number * values.length, 1);
}

/** Return the value of an option that a row has. */
export function findText(option, row) {
  return option.values.find(({ key }) => key === row.choice[option.key])?.text ?? "";
}

/** Return whether two objects of texts are equal. */
export function isSame(one, other) {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}

/** Throw an Error with a sentence for the admin if an option cannot have this value. */
export function checkValue({ values }, text) {
  if (text.length > 100) throw new Error("A value has at most 100 characters.");
  if (values.some((value) => value.text.toLowerCase() === text.toLowerCase())) {
    throw new Error(`“${text}” is there already.`);
  }
}

/** Move an item of a list by some places, unless it would leave the list. */
export function move(list, item, step) {
  const place = list.indexOf(item);
  const other = place + step;
  if (other < 0 || other >= list.length) return;
  list.splice(place, 1);
  list.splice(other, 0, item);
}
