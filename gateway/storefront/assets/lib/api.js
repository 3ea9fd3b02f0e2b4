// Calls to the shop as whoever is here.
import { Problem, send, wait } from "./http.js";
import { session } from "./session.js";

export { Problem, wait };

// What a GET is asked again for, once. A call that took long to fail is not repeated: somebody is waiting.
const RETRIED = [0, 502, 503, 504];
const PAUSE = 500;
const LONG = 4000;

/**
 * Call the shop: `call("GET", "/products", {query: {q: "lamp"}, signal})`.
 *
 * Options: `body` (sent as JSON; a string or Blob as it is), `query`, `headers`, `key` (Idempotency-Key), `signal`, `raw`
 * (return the Response). Throws Problem.
 */
export async function call(method, path, options = {}) {
  await session.ensure();
  const begun = Date.now();
  try {
    return await attempt(method, path, options);
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 401) throw problem;
    await session.recover(begun);
    return attempt(method, path, options);
  }
}

async function attempt(method, path, options) {
  const begun = Date.now();
  try {
    return await send(method, path, options);
  } catch (problem) {
    const retry = method === "GET" && problem instanceof Problem && RETRIED.includes(problem.status);
    if (!retry || Date.now() - begun > LONG) throw problem;
    await wait(PAUSE, options.signal);
    return send(method, path, options);
  }
}
