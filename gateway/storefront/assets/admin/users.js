// Everybody who has come in, newest first.
import { h } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";
import { filterBar } from "./filters.js";
import { makeList } from "./list.js";
import { badge, moment, pageHead } from "./parts.js";
import { nameUser } from "./words.js";

const FILTERS = [
  { name: "q", label: "Name, email or id", type: "search", maxlength: 200, autocomplete: "off" },
  {
    name: "role",
    label: "Role",
    type: "select",
    options: [
      ["", "Any"],
      ["guest", "Guest"],
      ["customer", "Customer"],
      ["admin", "Admin"],
    ],
  },
  {
    name: "disabled",
    label: "State",
    type: "select",
    options: [
      ["", "Any"],
      ["false", "Active"],
      ["true", "Disabled"],
    ],
  },
];
const COLUMNS = [
  {
    title: "User",
    kind: "main",
    cell: (user) => h("a", { href: linkTo(`/admin/users/${user.id}`) }, nameUser(user)),
  },
  { title: "Email", cell: (user) => user.email ?? "–" },
  { title: "Role", cell: (user) => user.role },
  { title: "Since", cell: (user) => moment(user.created_at) },
  { title: "Account", cell: (user) => badge(user.disabled ? "disabled" : "active") },
];

export async function view({ query, signal }) {
  const list = makeList({
    path: "/auth/users",
    caption: "Users, newest first",
    columns: COLUMNS,
    nouns: ["user", "users"],
    empty: ["Nobody fits", "The filters leave nobody over."],
    signal,
  });
  const filters = filterBar(FILTERS, query, list.show);
  list.show(filters.values);
  return [pageHead("Users"), filters.node, list.node];
}
