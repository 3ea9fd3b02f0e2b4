// Idempotency keys: made once for a form, and kept until an answer says that it is over, also over a reload.

const nameOf = (purpose) => `shopfleet.key.${purpose}`;


/** Return the key of what is being done, such as `checkout` or `refund-ORDER`; the same one until it is dropped. */
export function keepKey(purpose) {
  const name = nameOf(purpose);
  let key = sessionStorage.getItem(name);
  if (!key) {
    key = makeKey();
    sessionStorage.setItem(name, key);
  }
  return key;
}

/** Say that it is over, so that the next one is something new. */
export function dropKey(purpose) {
  sessionStorage.removeItem(nameOf(purpose));
}

function makeKey() {
  // Over plain HTTP, on another name than localhost, browsers leave randomUUID out.
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
