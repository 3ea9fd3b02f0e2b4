// The stream of log records: server-sent events (HTML Standard, section 9.2), read with fetch. An EventSource
// would hide the reason for an error, and could not renew the session before it reconnects.
import { call, Problem, wait } from "../lib/api.js";

// Milliseconds.
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;

/**
 * Follow the records that match `query` until `signal` aborts; reconnect when the connection ends.
 *
 * `onRecords` gets lists of records. `onState` gets `{name: "following"}`, `{name: "waiting", problem,
 * seconds, isGapless}` before a reconnect, or `{name: "refused", problem}` when it gives up. A reconnect
 * sends the id of the last event, so that no record is missed or repeated, unless the connection ended before
 * its first event.
 */
export async function followRecords(query, { signal, onRecords, onState }) {
  let lastId = null;
  let pause = FIRST_WAIT;
  while (!signal.aborted) {
    let problem = null;
    try {
      const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
      const response = await call("GET", "/logs/stream", { query, headers, signal, raw: true });
      onState({ name: "following" });
      pause = FIRST_WAIT;
      for await (const events of readEvents(response.body)) {
        lastId = events.findLast((event) => event.id)?.id ?? lastId;
        const records = events.filter((event) => event.event === "record").map((event) => JSON.parse(event.data));
        if (records.length) onRecords(records);
      }
    } catch (error) {
      if (signal.aborted) return;
      problem = error instanceof Problem ? error : new Problem(0, { code: "unreachable" });
    }
    if (problem && !problem.isTransient) {
      onState({ name: "refused", problem });
      return;
    }
    // A stream ends without an error when its token expires or its replica stops; then the wait does not grow.
    const milliseconds = problem?.retryAfter ? Math.max(pause, problem.retryAfter * 1000) : pause;
    onState({ name: "waiting", problem, seconds: Math.round(milliseconds / 1000), isGapless: lastId !== null });
    try {
      await wait(milliseconds, signal);
    } catch {
      return;
    }
    if (problem) pause = Math.min(pause * 2, LONGEST_WAIT);
  }
}

/** Yield lists of events `{id, event, data}` as they arrive. */
async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    const events = blocks.map(readEvent);
    if (events.length) yield events;
  }
}

function readEvent(block) {
  const event = {};
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    event[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
  }
  return event;
}
