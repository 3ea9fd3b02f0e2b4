// The page that mails a guest a link to an order.
import { h } from "../lib/dom.js";
import { field } from "../lib/forms.js";
import { send } from "../lib/http.js";
import { cardPage, mailForm } from "./mail-pages.js";

export const title = "Find your order";

export async function view() {
  return cardPage(
    title,
    h("p", { class: "faint" }, "Ordered without an account? We send you a link to your order."),
    mailForm(
      "Send link",
      [
        field({
          label: "Order number",
          name: "number",
          required: true,
          inputmode: "numeric",
          pattern: "#?[0-9]{1,15}",
          title: "The number in the mail that confirmed your order, such as 1001",
          autocomplete: "off",
        }),
        field({ label: "Email", name: "email", type: "email", required: true, autocomplete: "email", maxlength: 254 }),
      ],
      ({ number, email }) =>
        send("POST", "/orders/lookup", { body: { number: Number(number.replace("#", "")), email } }),
      ({ email }) => `If this order was placed with ${email}, a link is on its way. It works for seven days.`,
    ),
  );
}
