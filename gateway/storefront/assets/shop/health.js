// Whether what a page needs is there.
import { send } from "../lib/http.js";

// Milliseconds after which no answer is taken for none.
const PATIENCE = 3000;

/** Tell whether payments-service answers. */
export async function paymentsAnswer(signal) {
  try {
    await send("GET", "/healthz/payments-service", {
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
    });
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}
