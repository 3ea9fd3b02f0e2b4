// Who is here. The tokens are in cookies that no script can read; what this file keeps is a note of whose they are
// and until when they are good, so that no call is made that is bound to be refused.
import { Problem, send } from "./http.js";

const NOTE = "shopfleet.session";
// A token with less than this to live is renewed first.
const MARGIN = 60_000;

class Session extends EventTarget {
  constructor() {
    super();
    // Tabs follow each other.
    addEventListener("storage", (event) => {
      if (event.key === NOTE) this.#announce(readNote(event.oldValue));
    });
  }

  /** The user, `{id, username, role}`, or null for a guest and for whoever has not come in yet. */
  get user() {
    const note = readNote();
    return note && note.role !== "guest" ? { id: note.id, username: note.username, role: note.role } : null;
  }

  /** Whether somebody was here before, be it as a guest. */
  get isKnown() {
    return readNote() !== null;
  }

  get isAdmin() {
    return this.user?.role === "admin";
  }

  /** See to it that there is a token that is good for a while: renew it, or come in as a guest. */
  async ensure() {
    if (!isGood(readNote())) await alone(() => isGood(readNote()) || this.#renew());
  }

  /** After a 401: have another token, whatever the note says, unless another tab was faster. */
  async recover(since) {
    await alone(async () => {
      const note = readNote();
      if (!note || note.noted_at <= since) await this.#renew();
    });
  }

  /** Log in; what a guest has in the cart comes along. Throws Problem. */
  async logIn(username, password) {
    this.#note(await send("POST", "/auth", { body: { username, password } }), username);
  }

  /** Become a customer; a guest stays the same person, with cart and orders. Throws Problem. */
  async register(username, password, email) {
    await this.ensure();
    const body = { username, password, ...(email ? { email } : {}) };
    this.#note(await send("POST", "/auth/register", { body }), username);
  }

  /** Choose another password; every other session of the account ends. Throws Problem. */
  async changePassword(current, chosen) {
    await this.ensure();
    const body = { current_password: current, new_password: chosen };
    this.#note(await send("POST", "/auth/password", { body }), this.user?.username);
  }

  /** End the session everywhere. Throws Problem if that could not be told to the shop. */
  async logOut() {
    try {
      await this.ensure();
      await send("POST", "/auth/logout");
    } catch (problem) {
      if (problem.status !== 401) throw problem;
    }
    const before = readNote();
    localStorage.removeItem(NOTE);
    this.#announce(before);
  }

  async #renew() {
    const note = readNote();
    if (note) {
      try {
        this.#note(await send("POST", "/auth/refresh"), note.username);
        return;
      } catch (problem) {
        if (!(problem instanceof Problem) || problem.status !== 401) throw problem;
      }
    }
    this.#note(await send("POST", "/auth/guest"), null);
    if (note && note.role !== "guest") this.dispatchEvent(new Event("expired"));
  }

  #note(answer, username) {
    const before = readNote();
    const claims = readClaims(answer.access_token);
    const now = Date.now();
    const note = {
      id: claims.sub,
      username: claims.role === "guest" ? null : username,
      role: claims.role,
      expires_at: now + answer.expires_in * 1000,
      noted_at: now,
    };
    localStorage.setItem(NOTE, JSON.stringify(note));
    this.#announce(before);
  }

  #announce(before) {
    const now = readNote();
    // A guest who has just come in has nothing yet that anybody would have to look at.
    const isNewcomer = before === null && now?.role === "guest";
    const isSame = before?.id === now?.id && before?.role === now?.role;
    if (!isSame && !isNewcomer) this.dispatchEvent(new Event("change"));
  }
}

/** Fires `change` when somebody else is here, and `expired` when a user has become a guest without asking for it. */
export const session = new Session();

function readNote(text = localStorage.getItem(NOTE)) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isGood(note) {
  return note !== null && note.expires_at - Date.now() > MARGIN;
}

function readClaims(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(payload));
}

// A refresh token is good for one time, so of all tabs only one renews at a time. Browsers have locks only where the
// page came over HTTPS or from localhost; elsewhere the calls of one tab are in line, and the service forgives two
// tabs that come within some seconds.
let line = Promise.resolve();
function alone(work) {
  if (navigator.locks) return navigator.locks.request(NOTE, work);
  const done = line.then(work);
  line = done.catch(() => {});
  return done;
}
