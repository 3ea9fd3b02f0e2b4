"""The roles of users, in groups that access rules and services name."""

CLERKS = frozenset({"clerk", "admin"})  # They work on the orders of all customers.
EDITORS = frozenset({"editor", "admin"})  # They change what the shop sells.
REGISTERED = frozenset({"customer"}) | CLERKS | EDITORS  # They log in with a password.
SIGNED_IN = frozenset({"guest"}) | REGISTERED
ROLES = SIGNED_IN | {"service"}
