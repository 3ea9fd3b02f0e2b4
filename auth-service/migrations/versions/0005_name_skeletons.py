"""Skeletons of usernames, so that no new name looks like an existing one."""

from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = """
-- Hashes of the confusable skeletons of names (UTS 39). If two existing names look alike, the older user gets
-- the skeleton.
CREATE TABLE name_skeletons (
    skeleton bytea PRIMARY KEY,
    user_id  uuid NOT NULL REFERENCES users ON DELETE CASCADE
);

CREATE INDEX name_skeletons_user ON name_skeletons (user_id);

-- Code without this column leaves it false; the next registration adds the skeletons of such names.
ALTER TABLE users ADD COLUMN has_skeletons boolean NOT NULL DEFAULT false;

CREATE INDEX users_without_skeletons ON users (id) WHERE role <> 'guest' AND NOT has_skeletons;
"""


def upgrade() -> None:
    """Create the table and the column; Python code fills them, because SQL cannot derive a skeleton."""
    op.execute(SCHEMA)
