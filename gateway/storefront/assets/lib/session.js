// The visitor's session. The tokens are in cookies that scripts cannot read. This module keeps a note of
// their owner and expiry, so that it can renew a token before a call would fail.
import { Problem, send } from "./http.js";

const NOTE = "shopfleet.session";
// Milliseconds before its expiry at which a token is renewed.
const MARGIN = 60_000;
const STAFF = ["clerk", "editor", "admin"];

class Session extends EventTarget {
  constructor() {
    super();
    // Follow changes that another tab makes.
    addEventListener("storage", (event) => {
      if (event.key === NOTE) this.#announce(readNote(event.oldValue));
    });
  }

  /**
   * The signed-in user, `{id, username, role, totpRequired}`; null for a guest and before the first session.
   * With `totpRequired` the account has a higher role once two-factor authentication is on.
   */
  get user() {
    const note = readNote();
    if (!note || note.role === "guest") return null;
    const { id, username, role, totp_required: totpRequired } = note;
    return { id, username, role, totpRequired: Boolean(totpRequired) };
  }

  /** Whether this browser has a session, which may be a guest's. */
  get isKnown() {
    return readNote() !== null;
  }

  /** Whether the user works for the shop, and so may open the back office. */
  get isStaff() {
    return STAFF.includes(this.user?.role);
  }

  /** Ensure a valid token: renew it, or start a guest session. */
  async ensure() {
    if (!isFresh(readNote())) await exclusively(() => isFresh(readNote()) || this.#renew());
  }

  /** Renew the token after a 401, unless another tab has renewed it since. */
  async recover(since) {
    await exclusively(async () => {
      const note = readNote();
      if (!note || note.noted_at <= since) await this.#renew();
    });
  }

  /** Sign in, with a code if the account needs one; the guest cart moves to the account. Throws Problem. */
  async logIn(username, password, otp) {
    const body = { username, password, ...(otp ? { otp } : {}) };
    this.#note(await send("POST", "/auth", { body }), username);
  }

  /** Get new tokens now, because the permissions of the account have changed. Throws Problem. */
  async renew() {
    await exclusively(() => this.#renew());
  }

  /** Register the guest as a customer, who keeps the cart and the orders. Throws Problem. */
  async register(username, password, email) {
    await this.ensure();
    const body = { username, password, ...(email ? { email } : {}) };
    this.#note(await send("POST", "/auth/register", { body }), username);
  }

  /** Change the password, which ends all other sessions of the account. Throws Problem. */
  async changePassword(current, replacement) {
    await this.ensure();
    const body = { current_password: current, new_password: replacement };
    this.#note(await send("POST", "/auth/password", { body }), this.user?.username);
  }

  /** Sign out. Throws Problem if the session could not be ended on the server. */
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
      totp_required: answer.totp_required ?? false,
      expires_at: now + answer.expires_in * 1000,
      noted_at: now,
    };
    localStorage.setItem(NOTE, JSON.stringify(note));
    this.#announce(before);
  }

  #announce(before) {
    const now = readNote();
    // A new guest session has no data to show.
    const isNewGuest = before === null && now?.role === "guest";
    const isSame = before?.id === now?.id && before?.role === now?.role;
    if (!isSame && !isNewGuest) this.dispatchEvent(new Event("change"));
  }
}

/**
 * Fires `change` when the user changes, and `expired` when a user's session ended and became a guest session.
 */
export const session = new Session();

function readNote(text = localStorage.getItem(NOTE)) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isFresh(note) {
  return note !== null && note.expires_at - Date.now() > MARGIN;
}

function readClaims(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(payload));
}

// A refresh token works once, so only one tab may renew at a time. Browsers provide locks only over HTTPS and
// on localhost. Elsewhere the calls of one tab are queued, and the service accepts a reuse by two tabs within
// some seconds.
let queue = Promise.resolve();
function exclusively(work) {
  if (navigator.locks) return navigator.locks.request(NOTE, work);
  const done = queue.then(work);
  queue = done.catch(() => {});
  return done;
}
