"""Integrators' clients, and the times of signing keys."""

from alembic import op

revision = "0004"
down_revision = "0003"

SCHEMA = """
-- Keys of code without these columns sign at once and verify without end.
ALTER TABLE signing_keys
    ADD COLUMN signs_from     timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN verifies_until timestamptz;
UPDATE signing_keys SET signs_from = created_at;

CREATE TABLE oauth_clients (
    id          text PRIMARY KEY CHECK (id LIKE 'app-%'),
    name        text NOT NULL,
    secret_hash text NOT NULL,
    scopes      text[] NOT NULL,
    -- The sid in the tokens of the client; a new sid revokes the tokens that were issued before.
    sid         text NOT NULL,
    disabled    boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT now(),
    created_by  uuid REFERENCES users ON DELETE SET NULL
);

-- For the admins' list of users, and for finding the admins.
CREATE INDEX users_role ON users (role, id);
"""


def upgrade() -> None:
    """Create the table and the columns."""
    op.execute(SCHEMA)
