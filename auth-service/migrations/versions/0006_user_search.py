"""A function for a user search that ignores case and accents."""

from alembic import op

revision = "0006"
down_revision = "0005"

# The removed marks are accents and the points of Hebrew, Arabic and Japanese. The vowels of Indian scripts
# stay.
SCHEMA = r"""
CREATE FUNCTION fold(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN
    replace(replace(translate(regexp_replace(
        casefold(normalize(words, NFKD)),
        '[\u0300-\u036F\u0483-\u0487\u0591-\u05BD\u05BF\u05C1\u05C2\u05C4\u05C5\u05C7\u0610-\u061A\u064B-\u065F'
        '\u0670\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF\u3099\u309A\uFE20-\uFE2F]+',
        '', 'g'
    ), 'łøđı', 'lodi'), 'ß', 'ss'), 'æ', 'ae');
"""


def upgrade() -> None:
    """Create the function."""
    op.execute(SCHEMA)
