// The options of a product and its variants, as an admin edits them.
import { MAX_VARIANTS, checkValue, combine, countCombinations, findText, isSame, move, rank } from "./combinations.js";

const MAX_OPTIONS = 5;
const MAX_VALUES = 100;

let keys = 0;
const makeKey = () => (keys += 1);

/**
 * An edited product's `options`, its `rows`, and the rows in `gone`, whose variants a save withdraws.
 *
 * Options and values have keys, so that both can be renamed. A row is one combination: `choice` has the value
 * of each option by key, `cells` the texts of its columns, and `saved` those on the server, or null for a new
 * variant. A row with `isSold` false is left out. `note` is `{text, cell}` after a failed save.
 */
export class VariantSet {
  constructor(columns, { options = [], variants = [] } = {}) {
    this.columns = columns;
    this.gone = [];
    this.options = options.map(({ name, values }) => ({
      key: makeKey(),
      name,
      isSaved: true,
      existing: null,
      values: values.map((text) => ({ key: makeKey(), text })),
    }));
    this.stored = JSON.stringify(options);
    this.rows = variants.map((variant) => this.#toRow(variant));
    // The combinations without a variant were left out, and stay so. A new product has its first variant.
    this.#arrange(!variants.length);
  }

  /** The options that are part of the combinations: with values, and with one for the existing variants. */
  get active() {
    return this.options.filter((option) => option.values.length && (option.isSaved || option.existing));
  }

  get saved() {
    return this.rows.filter((row) => row.id);
  }

  get sold() {
    return this.rows.filter((row) => row.isSold);
  }

  /** The rows whose variants a save withdraws. */
  get withdrawn() {
    return [...this.gone, ...this.saved.filter((row) => !row.isSold)];
  }

  /** Whether there are too many combinations to list them; then only variants that exist are rows. */
  get isSparse() {
    return countCombinations(this.active) > MAX_VARIANTS;
  }

  /** The options in the shape of the API. */
  get body() {
    return this.active.map(({ name, values }) => ({ name, values: values.map(({ text }) => text) }));
  }

  /** Whether the options, or the values of existing variants, differ from those on the server. */
  get isRestructured() {
    return JSON.stringify(this.body) !== this.stored || this.moved.length > 0;
  }

  /** Whether a save has anything to send. */
  get isChanged() {
    return (
      this.isRestructured || this.withdrawn.length > 0 || this.sold.some((row) => this.findChanged(row).length > 0)
    );
  }

  /** The existing variants whose option values change, in the shape of the API. */
  get moved() {
    return this.saved
      .filter((row) => row.isSold && !isSame(row.options, this.describe(row)))
      .map((row) => ({ id: row.id, options: this.describe(row) }));
  }

  /** Return a row's values by the names of the options. */
  describe(row) {
    return Object.fromEntries(this.active.map((option) => [option.name, findText(option, row)]));
  }

  /** Return a row's values as a customer reads them. */
  title(row) {
    return this.active.map((option) => findText(option, row)).join(" / ");
  }

  /** Return why the options cannot be saved, or null. */
  findFault() {
    const names = this.options.map(({ name }) => name.trim().toLowerCase());
    for (const [place, option] of this.options.entries()) {
      if (!names[place]) return "Give each option a name, such as Size.";
      if (names.indexOf(names[place]) !== place) return `There are two options ${option.name}.`;
      if (!option.values.length) return `Add a value to ${option.name}, or remove the option.`;
      if (!this.active.includes(option)) return `Choose the ${option.name} of the existing variants.`;
    }
    if (!this.sold.length) return "Keep at least one variant.";
    return null;
  }

  /** Add an option without a name and values; throws an Error with a sentence if there are too many. */
  addOption() {
    if (this.options.length >= MAX_OPTIONS) throw new Error(`A product has at most ${MAX_OPTIONS} options.`);
    const option = { key: makeKey(), name: "", isSaved: false, existing: null, values: [] };
    this.options.push(option);
    return option;
  }

  /** Add a value; throws an Error with a sentence if it is there already, or makes too many variants. */
  addValue(option, text) {
    checkValue(option, text);
    if (option.values.length >= MAX_VALUES) throw new Error(`An option has at most ${MAX_VALUES} values.`);
    const counted = this.options.map((each) => ({ values: each === option ? [...each.values, text] : each.values }));
    const number = countCombinations(counted.filter(({ values }) => values.length));
    if (number > MAX_VARIANTS) {
      throw new Error(
        `With “${text}” there would be ${number} combinations. A product has at most ${MAX_VARIANTS} variants.`,
      );
    }
    const value = { key: makeKey(), text };
    option.values.push(value);
    // The only variant of a new product needs no question.
    if (!option.isSaved && !this.saved.length) option.existing ??= value.key;
    this.#arrange(true);
  }

  renameValue(option, value, text) {
    if (text === value.text) return;
    checkValue({ values: option.values.filter((each) => each !== value) }, text);
    value.text = text;
  }

  moveValue(option, value, step) {
    move(option.values, value, step);
    this.#arrange(true);
  }

  moveOption(option, step) {
    move(this.options, option, step);
    this.#arrange(true);
  }

  /** Set the value of a new option that the existing variants have. */
  setExisting(option, key) {
    const isLater = option.existing !== null;
    option.existing = key;
    if (isLater) {
      // The combinations of the earlier choice were generated and not saved.
      this.rows = this.rows.filter((row) => row.id);
      for (const row of this.rows) row.choice[option.key] = key;
    }
    this.#arrange(true);
  }

  /** Return the existing variants that have this value. */
  findUsers(option, value) {
    return this.saved.filter((row) => row.isSold && row.choice[option.key] === value.key);
  }

  removeValue(option, value) {
    option.values = option.values.filter((each) => each !== value);
    if (option.existing === value.key) option.existing = this.saved.length ? null : (option.values[0]?.key ?? null);
    this.#arrange(true);
  }

  /** Return the existing variants that would have the same values as others without this option. */
  findMerged(option) {
    const others = this.active.filter((each) => each !== option);
    const seen = new Set();
    return this.saved.filter((row) => {
      if (!row.isSold) return false;
      const combination = combine(others, row.choice);
      const isKnown = seen.has(combination);
      seen.add(combination);
      return isKnown;
    });
  }

  removeOption(option) {
    this.options = this.options.filter((each) => each !== option);
    this.#arrange(true);
  }

  /** Remove all options; the product keeps this row. */
  keepOnly(row) {
    for (const other of this.rows) if (other !== row) this.#drop(other);
    row.isSold = true;
    row.choice = {};
    this.options = [];
    this.rows = [row];
  }

  /**
   * Merge the variants on the server. Cells that only the server changed take its values; a cell that both
   * changed keeps the admin's, and its row gets a note. Returns the rows with such notes.
   */
  merge(variants) {
    const byId = new Map(variants.map((variant) => [variant.id, variant]));
    const conflicts = [];
    for (const row of this.saved) {
      const variant = byId.get(row.id);
      byId.delete(row.id);
      if (variant) this.#mergeRow(row, variant, conflicts);
      else if (row.isSold) {
        Object.assign(row, { id: null, version: null, saved: null });
        row.note = { text: "Another admin stopped the sale of this variant. Save again to add it as a new one." };
        conflicts.push(row);
      } else row.id = null;
    }
    this.gone = this.gone.filter((row) => byId.delete(row.id));
    for (const variant of byId.values()) this.#adopt(variant, conflicts);
    return conflicts;
  }

  /** Note the state of a row's variant on the server, after a save. */
  store(row, variant) {
    const { id, version, reserved, options } = variant;
    const saved = this.#toCells(variant);
    // The server generates a missing SKU.
    Object.assign(row, { id, version, reserved, options, saved, note: null });
    row.cells = { ...saved, on_hand: row.cells.on_hand };
  }

  /** Forget the variant of a row, because the shop no longer sells it. */
  forget(row) {
    this.gone = this.gone.filter((each) => each !== row);
    Object.assign(row, { id: null, version: null, saved: null, note: null });
  }

  /** Return the value that a cell has on the server. */
  readSaved(row, name) {
    return this.columns.find((column) => column.name === name).read(row.saved[name]);
  }

  /** Take the variant that another save added for a row. */
  #adopt(variant, conflicts) {
    const row = this.rows.find((each) => !each.id && isSame(this.describe(each), variant.options));
    if (!row) {
      this.rows.push(this.#toRow(variant));
      return;
    }
    const isMine = row.isSold;
    const { key, cells } = row;
    Object.assign(row, this.#toRow(variant), { key });
    // The server generates a missing SKU.
    if (isMine) row.cells = { ...cells, sku: cells.sku || row.cells.sku };
    if (!isMine) return;
    if (this.findChanged(row).length) {
      row.note = { text: "This variant was added meanwhile. Save again to replace its values with yours." };
      conflicts.push(row);
    }
  }

  #mergeRow(row, variant, conflicts) {
    const current = this.#toCells(variant);
    for (const { name, label, describe = String } of this.columns) {
      const isTheirs = current[name] !== row.saved[name];
      const isMine = row.cells[name] !== row.saved[name];
      if (isTheirs && !isMine) row.cells[name] = current[name];
      else if (isTheirs && row.cells[name] !== current[name] && row.isSold) {
        const value = describe(current[name]) || "empty";
        row.note = { text: `${label} is now ${value}. Your entry is kept; save again to replace it.`, cell: name };
        conflicts.push(row);
      }
    }
    const { version, reserved, options } = variant;
    Object.assign(row, { version, reserved, options, saved: current });
  }

  /** Return the columns in which a row differs from the server. */
  findChanged(row) {
    return this.columns.filter(({ name }) => !row.saved || row.cells[name] !== row.saved[name]);
  }

  #toRow(variant) {
    const cells = this.#toCells(variant);
    const choice = Object.fromEntries(
      this.options.map((option) => [
        option.key,
        option.values.find(({ text }) => text === variant.options[option.name])?.key,
      ]),
    );
    const { id, version, reserved, options } = variant;
    const stored = { id, version, reserved, options, saved: { ...cells } };
    return { key: makeKey(), ...stored, choice, cells, isSold: true, note: null };
  }

  #toCells(variant) {
    return Object.fromEntries(this.columns.map(({ name, show }) => [name, show(variant[name])]));
  }

  #makeRow(choice, isSold) {
    const [first] = this.rows;
    const own = { sku: "", on_hand: "0", metadata: "{}" };
    const cells = Object.fromEntries(this.columns.map(({ name }) => [name, own[name] ?? first?.cells[name] ?? ""]));
    return { key: makeKey(), id: null, choice, cells, saved: null, reserved: 0, isSold, note: null };
  }

  #drop(row) {
    if (row.id) this.gone.push(row);
  }

  /** Give each combination its row: the first existing one, or a new one. */
  #arrange(isSold) {
    const { active } = this;
    const found = new Map();
    const ordered = [...this.rows].sort((one, other) => rank(other) - rank(one));
    for (const row of ordered) {
      row.choice = Object.fromEntries(active.map(({ key, existing }) => [key, row.choice[key] ?? existing]));
      const isKnown = active.every(({ key, values }) => values.some((value) => value.key === row.choice[key]));
      const combination = combine(active, row.choice);
      if (isKnown && !found.has(combination)) found.set(combination, row);
      else this.#drop(row);
    }
    if (this.isSparse) {
      this.rows = [...found.values()];
      return;
    }
    const choices = active.reduce(
      (all, { key, values }) => all.flatMap((choice) => values.map((value) => ({ ...choice, [key]: value.key }))),
      [{}],
    );
    this.rows = choices.map((choice) => found.get(combine(active, choice)) ?? this.#makeRow(choice, isSold));
  }
}
