"""Integrators' clients, and when a signing key signs and verifies."""

from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = """
-- A key that code without these columns makes signs at once, and verifies without end.
ALTER TABLE signing_keys
    ADD COLUMN signs_from     timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN verifies_until timestamptz;
UPDATE signing_keys SET signs_from = created_at;

CREATE TABLE oauth_clients (
    id          text PRIMARY KEY CHECK (id LIKE 'app-%'),
    name        text NOT NULL,
    secret_hash text NOT NULL,
    scopes      text[] NOT NULL,
    -- The sid of the tokens that it gets; another one when those before shall end.
    sid         text NOT NULL,
    disabled    boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  uuid REFERENCES users ON DELETE SET NULL
);

-- For the admins' list of users, and for the question who is an admin.
CREATE INDEX users_role ON users (role, id);
"""


def upgrade() -> None:
    """Create the table and the columns."""
    op.execute(SCHEMA)
