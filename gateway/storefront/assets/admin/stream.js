// Log records as they come in: server-sent events (HTML Standard, section 9.2), read with fetch. An EventSource
// would hide why it was turned away, and could not renew the session before it comes again.
import { call, Problem, wait } from "../lib/api.js";

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;

/**
 * Follow the records that fit `query` until `signal` aborts, however often the connection ends.
 *
 * `onRecords` gets a list of records, `onState` what happens: `{name: "following"}`, `{name: "waiting", problem,
 * seconds, isGapless}` before the next try, or `{name: "refused", problem}`, and that was the last. Between two
 * connections nothing is missed and nothing comes twice, since the last event's id is sent back, unless the first one
 * ended before it had any.
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
    if (problem && !problem.mayPass) {
      onState({ name: "refused", problem });
      return;
    }
    // A stream that came to its end is taken up again at once: its token was over, or its replica is going away.
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

/** Yield lists of events, `{id, event, data}`, as they arrive. */
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
