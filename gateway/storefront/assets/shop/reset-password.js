// The page that a mailed link opens to set a new password.
import { h, replace } from "../lib/dom.js";
import { toast } from "../lib/feedback.js";
import { Problem, send } from "../lib/http.js";
import { navigate } from "../lib/router.js";
import { accountForm, newPasswordField } from "./account-forms.js";
import { cardPage, noteBadLink, takeToken } from "./mail-pages.js";

export const title = "Set a new password";

export async function view({ query }) {
  const token = takeToken(query);
  const box = h("div", { class: "stack" });

  async function reset({ password }) {
    try {
      await send("POST", "/auth/password/reset", { body: { token, password } });
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.code !== "link_invalid") throw problem;
      showBadLink();
      return false;
    }
    return true;
  }

  function showBadLink() {
    replace(box, noteBadLink("/forgot-password", "Request a new link"));
  }

  const form = accountForm(
    "Set password",
    [
      newPasswordField({
        label: "New password",
        hint: "Use at least 8 characters. You will be signed out on all devices.",
      }),
    ],
    async (values) => {
      if (await reset(values)) {
        toast("Password changed. Sign in with your new password.", { kind: "good" });
        navigate("/login", null, { replace: true });
      }
    },
    () => {},
  );
  if (token) replace(box, form);
  else showBadLink();
  return cardPage(title, box);
}
