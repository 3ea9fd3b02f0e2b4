// The roles, and what each may use in the back office. The services decide; the pages only leave out what
// they would refuse.
import { session } from "../lib/session.js";

// The roles of users with an account: name, label, and what they may do.
export const ROLES = [
  ["customer", "Customer", "A customer buys in the shop and sees only their own orders."],
  [
    "clerk",
    "Clerk",
    "A clerk ships, cancels and refunds all orders, and sees all payments and users, but cannot change users.",
  ],
  ["editor", "Editor", "An editor changes products, stock, categories and coupons, but sees no orders or users."],
  ["admin", "Admin", "An admin has full access to the back office."],
];
// What an admin may not use does not exist.
const AREAS = {
  clerk: ["overview", "orders", "payments", "users", "mails"],
  editor: ["overview", "products", "coupons"],
};

/** Return whether the signed-in user may use an area of the back office, such as `orders`. */
export function may(area) {
  const role = session.user?.role;
  return role === "admin" || Boolean(AREAS[role]?.includes(area));
}

/** Return a role with its article. */
export function withArticle(role) {
  return `${/^[aeiou]/.test(role) ? "an" : "a"} ${role}`;
}
