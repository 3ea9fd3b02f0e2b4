// One request, one answer. Who is calling is no concern of this file: see session.js and api.js.

const WORDS = {
  unreachable: "The shop cannot be reached just now. Check your connection and try again.",
  wrong_credentials: "This user name and password do not belong together.",
  token_missing: "You are signed out. Sign in and try again.",
  token_invalid: "You are signed out. Sign in and try again.",
  forbidden: "Your account is not allowed to do this.",
  idempotency_in_progress: "This is being worked on already. Give it a moment.",
};

/** An answer other than success (RFC 9457), or none at all: then the code is `unreachable` and the status 0. */
export class Problem extends Error {
  constructor(status, body = {}, { requestId = null, retryAfter = null } = {}) {
    super(describe(status, body, retryAfter));
    this.name = "Problem";
    this.status = status;
    this.code = body.code ?? "unknown";
    this.errors = body.errors ?? [];
    this.requestId = body.request_id ?? requestId;
    this.retryAfter = retryAfter;
    this.body = body;
  }

  /** Whether the same call may succeed in a moment. */
  get mayPass() {
    const isLimited = this.status === 429 && this.retryAfter !== null;
    return this.status === 0 || isLimited || [502, 503, 504].includes(this.status);
  }

  /** Whether it is not known what has come of the call: it may have been done, and the same key asks again. */
  get isOpen() {
    return this.mayPass || this.status >= 500;
  }
}

function describe(status, body, retryAfter) {
  if (body.code in WORDS) return WORDS[body.code];
  if (status === 429 && retryAfter !== null) return `That was too often. Try again in ${Math.ceil(retryAfter)} s.`;
  if (status >= 500) return "This part of the shop does not answer just now. Try again in a moment.";
  return body.detail ?? "Something went wrong.";
}

/**
 * Send a request and return what came back: JSON, null for an empty answer, or with `raw` the Response itself.
 *
 * `body` is sent as JSON, unless it is a string, a Blob or the like, whose type stands in `headers`; `key` becomes the
 * Idempotency-Key. Throws Problem, or AbortError once `signal` aborts.
 */
export async function send(method, path, { body, query, headers = {}, key, signal, raw } = {}) {
  const all = new Headers({ Accept: "application/json", ...headers });
  let content = body;
  if (body !== undefined && (body === null || [Object, Array].includes(body.constructor))) {
    content = JSON.stringify(body);
    all.set("Content-Type", "application/json");
  }
  if (key) all.set("Idempotency-Key", key);

  let response;
  try {
    response = await fetch(withQuery(path, query), {
      method,
      headers: all,
      body: content,
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { code: "unreachable" });
  }
  if (!response.ok) throw await readProblem(response);
  return raw ? response : readBody(response);
}

async function readBody(response) {
  try {
    const text = await response.text();
    return text ? JSON.parse(text) : null;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    // The answer broke off, or it is somebody else's page.
    throw new Problem(0, { code: "unreachable" });
  }
}

async function readProblem(response) {
  const body = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  return new Problem(response.status, body ?? {}, {
    requestId: response.headers.get("X-Request-ID"),
    retryAfter,
  });
}

/** Return the path with its query: an object or URLSearchParams; lists repeat their name, nothing is left out. */
export function withQuery(path, query) {
  const text = toParams(query).toString();
  return text ? `${path}?${text}` : path;
}

/** Return URLSearchParams of an object; null, undefined and "" are left out, a list repeats its name. */
export function toParams(query) {
  if (query instanceof URLSearchParams) return query;
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const each of [value].flat()) {
      if (each !== null && each !== undefined && each !== "") params.append(name, each);
    }
  }
  return params;
}

/** Wait so many milliseconds, or reject with AbortError as soon as the signal aborts. */
export function wait(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    function stop() {
      clearTimeout(timer);
      reject(signal.reason);
    }
    signal?.addEventListener("abort", stop, { once: true });
  });
}
