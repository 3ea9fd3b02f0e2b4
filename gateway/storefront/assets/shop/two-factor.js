// Two-factor authentication of the user's own account.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { load, refill, skeleton, toast } from "../lib/feedback.js";
import { field } from "../lib/forms.js";
import { countOf } from "../lib/labels.js";
import { session } from "../lib/session.js";
import { accountForm, codeField, passwordField, usernameFor } from "./account-forms.js";

const PATH = "/auth/totp";
const SVG = "http://www.w3.org/2000/svg";
const QUIET_ZONE = 4; // Light modules around a QR code (ISO/IEC 18004).
const FEW_CODES = 3;

/** Return the state of two-factor authentication, with the form that changes it; a change calls `done`. */
export function twoFactor(user, done, signal) {
  const room = h("div", { class: "stack" });
  const show = () =>
    load(room, () => call("GET", "/auth/me", { signal }), (me) => (me.has_totp ? renderOn(me) : renderOff(me)), {
      skeleton: skeleton("lines", 2),
      signal,
    });

  function renderOff(me) {
    return h(
      "div",
      { class: "stack" },
      me.totp_required &&
        h(
          "div",
          { class: "note note-warn" },
          icon("alert"),
          h("p", null, `Your role (${me.role}) needs it. Until it is on, you can only shop.`),
        ),
      h(
        "p",
        { class: "faint" },
        "Sign in with your password and a code of an authenticator app on your phone. ",
        "A stolen password alone is then worth nothing.",
      ),
      accountForm(
        "Set up",
        [usernameFor(user), passwordField({ label: "Password", name: "current_password" })],
        ({ current_password: password }) => call("POST", PATH, { body: { current_password: password } }),
        (enrolment) => refill(room, renderEnrolment(enrolment)),
      ),
    );
  }

  function renderEnrolment({ secret, uri, qr }) {
    return h(
      "div",
      { class: "stack" },
      h("h3", null, "Add the account to your app"),
      h("p", null, "Scan this code with your authenticator app, or enter the key there."),
      drawQr(qr),
      h("p", null, "Key: ", h("code", { class: "secret" }, secret.match(/.{1,4}/g).join(" "))),
      h("p", null, h("a", { href: uri }, "Open it in an app on this device")),
      accountForm(
        "Turn on",
        [
          field({
            label: "Code",
            name: "code",
            required: true,
            autocomplete: "one-time-code",
            inputmode: "numeric",
            maxlength: 20,
            hint: "The six digits that the app shows. You will be signed out on your other devices.",
          }),
        ],
        ({ code }) => call("POST", `${PATH}/confirm`, { body: { code } }),
        ({ recovery_codes: codes }) => {
          refill(room, renderCodes(codes));
          done();
        },
      ),
      h("button", { class: "button button-quiet", type: "button", onclick: show }, "Cancel"),
    );
  }

  function renderCodes(codes) {
    const text = `${codes.join("\n")}\n`;
    return h(
      "div",
      { class: "stack" },
      h("h3", null, "Save your recovery codes"),
      h(
        "p",
        null,
        "Two-factor authentication is on. Without your phone, each of these codes lets you sign in once. ",
        "They are not shown again.",
      ),
      h(
        "ul",
        { class: "recovery-codes" },
        codes.map((code) => h("li", null, h("code", null, code))),
      ),
      h(
        "div",
        { class: "row" },
        h("button", { class: "button", type: "button", onclick: () => copy(text) }, "Copy"),
        h("button", { class: "button", type: "button", onclick: () => download(text) }, "Download"),
        h("button", { class: "button button-primary", type: "button", onclick: finish }, "I have saved them"),
      ),
    );
  }

  async function finish() {
    // A role that needed two-factor authentication comes with new tokens.
    if (session.user?.totpRequired) await session.renew().catch(() => {});
    await show();
    toast("Two-factor authentication is on.", { kind: "good" });
  }

  function renderOn({ recovery_codes_left: left }) {
    return h(
      "div",
      { class: "stack" },
      h("p", null, h("span", { class: "badge badge-good" }, "On"), ` ${countOf(left, "recovery code")} left.`),
      left <= FEW_CODES &&
        h(
          "div",
          { class: "note note-warn" },
          icon("alert"),
          h("p", null, "To get new recovery codes, turn it off and set it up again."),
        ),
      h("p", { class: "faint" }, "To turn it off, enter your password and a code."),
      accountForm(
        "Turn off",
        [
          usernameFor(user),
          passwordField({ label: "Password", name: "current_password" }),
          codeField("code"),
        ],
        ({ current_password: password, code }) =>
          call("DELETE", PATH, { body: { current_password: password, code } }),
        async () => {
          toast("Two-factor authentication is off.", { kind: "good" });
          await show();
          done();
        },
      ),
    );
  }

  show();
  return room;
}

/** Return a QR code as an image, dark on light in every colour scheme; `rows` have a 1 for a dark module. */
function drawQr(rows) {
  const svg = document.createElementNS(SVG, "svg");
  const size = rows.length + 2 * QUIET_ZONE;
  svg.setAttribute("class", "qr");
  svg.setAttribute("viewBox", `${-QUIET_ZONE} ${-QUIET_ZONE} ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "QR code of the key");
  const path = document.createElementNS(SVG, "path");
  const runs = rows.flatMap((row, y) =>
    Array.from(row.matchAll(/1+/g), ({ 0: run, index }) => `M${index} ${y}h${run.length}v1h-${run.length}z`),
  );
  path.setAttribute("d", runs.join(""));
  svg.append(path);
  return svg;
}

async function copy(text) {
  // Browsers provide the clipboard only over HTTPS and on localhost.
  try {
    await navigator.clipboard.writeText(text);
    toast("Codes copied.", { kind: "good" });
  } catch {
    toast("Could not copy. Download the codes, or write them down.");
  }
}

function download(text) {
  const href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  h("a", { href, download: "shopfleet-recovery-codes.txt" }).click();
  // The browser has read the address once the click is handled.
  setTimeout(() => URL.revokeObjectURL(href), 1000);
}
