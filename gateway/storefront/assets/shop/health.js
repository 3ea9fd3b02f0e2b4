// The health of services that a view depends on.
import { send } from "../lib/http.js";

// Milliseconds.
const TIMEOUT = 3000;

/** Return whether payments-service responds. */
export async function isPaymentsUp(signal) {
  try {
    await send("GET", "/healthz/payments-service", {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
    });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
