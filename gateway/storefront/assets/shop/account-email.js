// The email address of the user's account.
import { call } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { load, skeleton } from "../lib/feedback.js";
import { field } from "../lib/forms.js";
import { mailForm } from "./mail-pages.js";

/** Return the address with its state, and the form to set or change it. */
export function emailPart(signal) {
  const part = h("div", { class: "stack" });
  load(part, () => call("GET", "/auth/me", { signal }), showEmail, { skeleton: skeleton("lines", 2), signal });
  return part;
}

function showEmail({ email, email_verified: isVerified }) {
  return h(
    "div",
    { class: "stack" },
    email
      ? h(
          "p",
          { class: "row" },
          icon("mail"),
          h("span", { class: "written" }, email),
          h("span", { class: `badge ${isVerified ? "badge-good" : "badge-warn"}` }, isVerified ? "Verified" : "Not verified"),
        )
      : h("p", { class: "faint" }, "Add an address, so that you can reset a forgotten password."),
    mailForm(
      email && !isVerified ? "Send verification link" : "Save address",
      [
        field({
          label: email ? "Email address" : "New email address",
          name: "email",
          type: "email",
          required: true,
          autocomplete: "email",
          maxlength: 254,
          value: isVerified ? "" : (email ?? ""),
          hint: isVerified ? "Your current address stays until you verify the new one." : null,
        }),
      ],
      (body) => call("POST", "/auth/email", { body }),
      ({ email: given }) => `We sent a link to ${given}. Open it within 24 hours to verify the address.`,
    ),
  );
}
