// All users, newest first.
import { h } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";
import { filterBar } from "./filter-bar.js";
import { makeList } from "./list.js";
import { badge, moment, pageHead } from "./parts.js";
import { ROLES } from "./roles.js";
import { nameUser } from "./labels.js";

const FILTERS = [
  { name: "q", label: "Username, email or ID", type: "search", maxlength: 200, autocomplete: "off" },
  {
    name: "role",
    label: "Role",
    type: "select",
    options: [
      ["", "Any"],
      ["guest", "Guest"],
      ...ROLES,
    ],
  },
  {
    name: "disabled",
    label: "Status",
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
  { title: "Created", cell: (user) => moment(user.created_at) },
  { title: "Status", cell: (user) => badge(user.disabled ? "disabled" : "active") },
];

export async function view({ query, signal }) {
  const list = makeList({
    path: "/auth/users",
    caption: "Users, newest first",
    columns: COLUMNS,
    noun: "user",
    empty: ["No users match these filters", "Change or clear the filters to see more users."],
    signal,
  });
  const filters = filterBar(FILTERS, query, list.show);
  list.show(filters.values);
  return [pageHead("Users"), filters.node, list.node];
}
