// HTTP requests without a session; see session.js and api.js for that.

const MESSAGES = {
  unreachable: "Could not reach the shop. Check your connection and try again.",
  wrong_credentials: "Incorrect username or password.",
  token_missing: "You are signed out. Sign in and try again.",
  token_invalid: "You are signed out. Sign in and try again.",
  forbidden: "Your account does not have permission to do this.",
  idempotency_in_progress: "This request is already in progress. Try again in a moment.",
};

/** An error response (RFC 9457). Without a response the status is 0 and the code `unreachable`. */
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
  get isTransient() {
    const isLimited = this.status === 429 && this.retryAfter !== null;
    return this.status === 0 || isLimited || [502, 503, 504].includes(this.status);
  }

  /** Whether the call may have been executed: retry it with the same idempotency key. */
  get isOutcomeUnknown() {
    return this.isTransient || this.status >= 500;
  }
}

function describe(status, body, retryAfter) {
  if (body.code in MESSAGES) return MESSAGES[body.code];
  if (status === 429 && retryAfter !== null)
    return `Too many requests. Try again in ${Math.ceil(retryAfter)} s.`;
  if (status >= 500) return "Something went wrong on our side. Try again in a moment.";
  return body.detail ?? "Something went wrong.";
}

/**
 * Send a request; return the JSON body, null for an empty body, or the Response itself if `raw` is set.
 *
 * `body` is sent as JSON, unless it is a string or a Blob, whose type the caller sets in `headers`; `key`
 * becomes the Idempotency-Key. Throws Problem, or AbortError once `signal` aborts.
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
    // The connection broke, or a proxy answered with a page of its own.
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

/** Return the path with its query, which is an object (see toParams) or URLSearchParams. */
export function withQuery(path, query) {
  const text = toParams(query).toString();
  return text ? `${path}?${text}` : path;
}

/** Return the URLSearchParams of an object. A list repeats its name; null, undefined and "" are skipped. */
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

/** Wait for some milliseconds; reject with AbortError as soon as the signal aborts. */
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
