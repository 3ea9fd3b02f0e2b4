"""The roles of clerks and editors."""

from alembic import op

revision = "0008"
down_revision = "0007"

# The constraint is validated later, without this lock.
ROLES = """
ALTER TABLE users
    DROP CONSTRAINT IF EXISTS users_role_check,
    ADD CONSTRAINT users_role_check
        CHECK (role IN ('guest', 'customer', 'clerk', 'editor', 'admin')) NOT VALID;
"""


def upgrade() -> None:
    """Accept the new roles; code without them reads and writes the same rows."""
    op.execute(ROLES)
    with op.get_context().autocommit_block():
        op.execute("SET statement_timeout = 0")
        op.execute("ALTER TABLE users VALIDATE CONSTRAINT users_role_check")
        op.execute("RESET statement_timeout")
