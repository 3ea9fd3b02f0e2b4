// Idempotency keys, kept across reloads until the outcome of the request is known.

const nameOf = (purpose) => `shopfleet.key.${purpose}`;

/** Return the key for a purpose such as `checkout`; it stays the same until dropKey is called. */
export function keepKey(purpose) {
  const name = nameOf(purpose);
  let key = sessionStorage.getItem(name);
  if (!key) {
    key = makeKey();
    sessionStorage.setItem(name, key);
  }
  return key;
}

/** Forget the key of a completed request. */
export function dropKey(purpose) {
  sessionStorage.removeItem(nameOf(purpose));
}

/** Return a new UUID of version 4 (RFC 9562). */
export function makeKey() {
  // Browsers provide randomUUID only over HTTPS and on localhost.
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = 0x40 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
