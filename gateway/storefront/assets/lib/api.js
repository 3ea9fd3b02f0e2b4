// API calls in the visitor's session.
import { Problem, send, wait } from "./http.js";
import { session } from "./session.js";

export { Problem, wait };

// A GET is retried once after these statuses; 0 is a network error. A call that took too long to fail is not
// retried, because the visitor is waiting.
const RETRIED_STATUSES = [0, 502, 503, 504];
const RETRY_DELAY = 500; // Milliseconds.
const TOO_LONG_TO_RETRY = 4000; // Milliseconds.

/**
 * Call the API: `call("GET", "/products", {query: {q: "lamp"}, signal})`.
 *
 * Options: `body` (sent as JSON; a string or Blob unchanged), `query`, `headers`, `key` (Idempotency-Key),
 * `signal`, `raw` (return the Response). Throws Problem.
 */
export async function call(method, path, options = {}) {
  await session.ensure();
  const startedAt = Date.now();
  try {
    return await attempt(method, path, options);
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 401) throw problem;
    await session.recover(startedAt);
    return attempt(method, path, options);
  }
}

async function attempt(method, path, options) {
  const startedAt = Date.now();
  try {
    return await send(method, path, options);
  } catch (problem) {
    const retry = method === "GET" && problem instanceof Problem && RETRIED_STATUSES.includes(problem.status);
    if (!retry || Date.now() - startedAt > TOO_LONG_TO_RETRY) throw problem;
    await wait(RETRY_DELAY, options.signal);
    return send(method, path, options);
  }
}
