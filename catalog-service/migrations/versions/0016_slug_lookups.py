"""Look each candidate for a slug up by the index, in any session."""

from alembic import op

revision = "0016"
down_revision = "0015"

# As in migration 0009. OFFSET 0 keeps the planner from joining the candidates with all slugs, which it does
# where the table was small when the session planned this.
SLUGS = """
CREATE OR REPLACE FUNCTION give_slugs(ids bigint[]) RETURNS void LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    product record;
BEGIN
    INSERT INTO product_slugs (slug, product_id)
    SELECT DISTINCT ON (title_slug(title)) title_slug(title), id
    FROM products WHERE id = ANY (ids) ORDER BY title_slug(title), id
    ON CONFLICT DO NOTHING;
    FOR product IN
        SELECT id, title_slug(title) AS base FROM products
        WHERE id = ANY (ids)
            AND NOT EXISTS (SELECT FROM product_slugs WHERE product_id = products.id AND is_current OFFSET 0)
        ORDER BY id
    LOOP
        -- Another transaction may take the slug first.
        LOOP
            INSERT INTO product_slugs (slug, product_id)
            SELECT candidate, product.id
            FROM generate_series(2, 30) AS number,
                concat_ws('-', product.base, CASE WHEN number < 10 THEN number ELSE product.id END,
                    CASE WHEN number > 10 THEN number END) AS candidate
            WHERE NOT EXISTS (SELECT FROM product_slugs WHERE slug = candidate OFFSET 0)
            ORDER BY number LIMIT 1
            ON CONFLICT DO NOTHING;
            EXIT WHEN FOUND;
        END LOOP;
    END LOOP;
END $$;
"""


def upgrade() -> None:
    """Replace the function."""
    op.execute(SLUGS)
