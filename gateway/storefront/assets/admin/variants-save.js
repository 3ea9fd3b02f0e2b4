// Saving a product with its variants, in steps that can each be retried.
import { call, wait } from "../lib/api.js";
import { formatNumber } from "../lib/format.js";
import { DESCRIBED, findDifferences } from "./product-form.js";

const MAX_ATTEMPTS = 5; // Of a call that the gateway limits.

/** The product on the server, `current`, differs from the one that the admin edits. */
export class Conflict extends Error {
  constructor(current, isRestructured) {
    super("The product has changed.");
    Object.assign(this, { name: "Conflict", current, isRestructured });
  }
}

/**
 * Send what differs from the server; return `{failed, product}`: the number of variants with errors, which
 * their rows show, and the product after the save.
 *
 * `base` is the product as the admin knows it, `changes` are its changed fields, `read` fetches it with its
 * variants, and `set` has the edited ones; `onProgress(place, number)` is called for each. Throws Conflict,
 * before the first write if possible, or the Problem of a step that concerns no single variant. After that,
 * the same call sends the rest.
 */
export async function saveVariants({ base, changes, set, read, onProgress }) {
  const path = `/products/${base.id}`;
  const failed = new Set();
  const options = JSON.stringify(base.options);
  let known = base;

  async function refresh(expected = options) {
    const current = await read();
    const found = JSON.stringify(current.options);
    // An earlier attempt may have been saved although its answer was lost.
    if (found === JSON.stringify(set.body)) set.stored = found;
    const isRestructured = found !== expected && found !== set.stored;
    const names = findDifferences(known, current, DESCRIBED);
    const isEdited = findDifferences({ ...known, ...changes }, current, names).length > 0;
    if (isRestructured || isEdited) throw new Conflict(current, isRestructured);
    known = current;
    for (const row of set.merge(current.variants)) failed.add(row);
  }
  async function withdraw() {
    for (const row of set.withdrawn) {
      try {
        await patiently(() => call("DELETE", `${path}/variants/${row.id}`));
      } catch (problem) {
        if (problem.code !== "variant_not_found") throw problem;
      }
      set.forget(row);
    }
  }
  async function patchProduct() {
    const restructured = set.isRestructured ? { options: set.body, variants: set.moved } : {};
    const body = { ...changes, ...restructured, version: known.version };
    try {
      known = { ...known, ...(await patiently(() => call("PATCH", path, { body }))) };
    } catch (problem) {
      if (problem.code !== "version_conflict") throw problem;
      const current = await read();
      throw new Conflict(current, JSON.stringify(current.options) !== options);
    }
    const expected = restructured.options ? JSON.stringify(set.body) : options;
    set.stored = expected;
    await refresh(expected);
  }
  async function patchRow(row, isAgain = false) {
    const changed = set.findChanged(row).filter(({ name }) => name !== "on_hand");
    if (!changed.length) return;
    const values = Object.fromEntries(changed.map(({ name, read: readCell }) => [name, readCell(row.cells[name])]));
    const body = { ...values, version: row.version };
    try {
      const saved = await patiently(() => call("PATCH", `${path}/variants/${row.id}`, { body }));
      set.store(row, { ...saved, on_hand: set.readSaved(row, "on_hand") });
    } catch (problem) {
      if (problem.code !== "version_conflict" || isAgain) throw problem;
      await refresh(set.stored);
      if (!row.note) await patchRow(row, true);
    }
  }
  async function countRow(row) {
    const count = set.findChanged(row).find(({ name }) => name === "on_hand");
    if (!count || row.note) return;
    const body = { on_hand: count.read(row.cells.on_hand) };
    await patiently(() => call("PUT", `${path}/variants/${row.id}/stock`, { body }));
    row.saved.on_hand = row.cells.on_hand;
  }
  async function addRow(row) {
    const values = set.columns.map(({ name, read: readCell }) => [name, readCell(row.cells[name])]);
    const given = Object.fromEntries(values.filter(([, value]) => value !== null));
    const body = { ...given, options: set.describe(row) };
    const added = await patiently(() => call("POST", `${path}/variants`, { body }));
    set.store(row, added);
  }
  async function saveRow(row) {
    try {
      if (!row.id) {
        await addRow(row);
        return;
      }
      await patchRow(row);
      await countRow(row);
    } catch (problem) {
      // The next variants would fail in the same way.
      if (problem.name !== "Problem" || problem.isTransient) throw problem;
      row.note = describe(set, problem);
    }
    if (row.note) failed.add(row);
  }

  await refresh();
  if (set.withdrawn.length) {
    await withdraw();
    await refresh();
  }
  if (set.isRestructured || Object.keys(changes).length) await patchProduct();
  // An added variant gives the product, and so its first variant, a new version.
  const rows = set.sold.filter((row) => !failed.has(row)).sort((one, other) => Number(!one.id) - Number(!other.id));
  for (const [place, row] of rows.entries()) {
    onProgress(place + 1, rows.length);
    await saveRow(row);
  }
  return { failed: failed.size, product: known };
}

/** Make a call; wait and repeat it while the gateway limits the calls. */
async function patiently(work, attempts = MAX_ATTEMPTS) {
  try {
    return await work();
  } catch (problem) {
    if (problem.status !== 429 || problem.retryAfter === null || attempts === 1) throw problem;
    await wait(problem.retryAfter * 1000);
    return patiently(work, attempts - 1);
  }
}

/** Return the note of a row whose save failed. */
export function describe(set, problem) {
  const [first] = problem.errors;
  if (first) {
    const path = first.field?.split(".") ?? [];
    const column = set.columns.find(({ name }) => path.includes(name));
    return { text: `${column?.label ?? first.field ?? ""}: ${first.detail}`, cell: column?.name };
  }
  const { reserved } = problem.body;
  const notes = {
    sku_taken: { text: "Another product or variant for sale has this SKU.", cell: "sku" },
    stock_held: {
      text: `${formatNumber(reserved)} reserved for orders, more than you counted. Include packed units.`,
      cell: "on_hand",
    },
    variant_exists: { text: "Another variant has the same values. Save again to compare them." },
    last_variant: { text: "A product keeps at least one variant. Delete the product instead." },
    version_conflict: { text: "Another admin changed this variant. Save again to compare." },
  };
  return notes[problem.code] ?? { text: problem.message };
}
