"""SQL for the slugs of imported products.

A file may give a slug to a new product that the trigger has already given to an earlier row. So the slugs are
written after all products, and then new products without one receive theirs.
"""

from sqlalchemy import Connection, text

from catalog.domain import FIRST_LOCAL_ID

# A product of the source is not the one that the file means. The alternative has at most 100 characters, too.
AVOID_SOURCE = text("""
    UPDATE staged_products AS line
    SET wanted_slug = left(wanted_slug, 87) || '-' || left(md5(wanted_slug), 12)
    FROM product_slugs AS named
    WHERE named.slug = line.wanted_slug AND named.product_id < :first_local
""")
# The slugs that change, with their products.
LIST = text("""
    CREATE TEMPORARY TABLE wanted_slugs ON COMMIT DROP AS
    SELECT DISTINCT coalesce(product_id, added_id) AS product_id,
        CASE WHEN added_id IS NULL THEN slug ELSE coalesce(slug, wanted_slug) END AS slug
    FROM matched_products
    WHERE slug IS NOT NULL AND (slug_owner = product_id AND slug_is_current) IS NOT TRUE
        OR added_id IS NOT NULL AND wanted_slug IS NOT NULL
""")
# The trigger gave these slugs in this transaction.
TAKE_BACK = text("""
    DELETE FROM product_slugs AS given USING matched_products AS line WHERE given.product_id = line.added_id
""")
# An admin has removed the product that a file adds again.
INHERIT = text("""
    DELETE FROM product_slugs AS given USING matched_products AS line, products AS owner
    WHERE line.added_id IS NOT NULL AND given.slug = line.wanted_slug
        AND owner.id = given.product_id AND owner.removed_at IS NOT NULL AND owner.id >= :first_local
""")
RETIRE = text("""
    UPDATE product_slugs AS former SET is_current = false FROM wanted_slugs AS wanted
    WHERE former.product_id = wanted.product_id AND former.is_current
""")
SET_SLUGS = text("""
    WITH named AS (
        INSERT INTO product_slugs (slug, product_id) SELECT slug, product_id FROM wanted_slugs ORDER BY slug
        ON CONFLICT (slug) DO UPDATE SET is_current = true
            WHERE product_slugs.product_id = excluded.product_id
        RETURNING slug
    )
    SELECT slug FROM wanted_slugs EXCEPT SELECT slug FROM named LIMIT 1
""")
GIVE = text("""
    SELECT give_slugs(array_agg(DISTINCT added_id)) FROM matched_products AS line
    WHERE added_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM product_slugs WHERE product_id = line.added_id AND is_current)
    HAVING count(*) > 0
""")


def avoid_slugs_of_source(connection: Connection) -> None:
    """Change the slugs by which rows want a product where the product source's products have them."""
    connection.execute(AVOID_SOURCE, {"first_local": FIRST_LOCAL_ID})


def set_slugs(connection: Connection) -> str | None:
    """Set the slugs of the rows; return one that another transaction has meanwhile given away, or None.

    The caller then rolls back.
    """
    connection.execute(LIST)
    if not connection.execute(text("SELECT EXISTS (SELECT FROM wanted_slugs)")).scalar():
        return None
    connection.execute(text("ANALYZE wanted_slugs"))
    connection.execute(TAKE_BACK)
    connection.execute(INHERIT, {"first_local": FIRST_LOCAL_ID})
    connection.execute(RETIRE)
    taken: str | None = connection.execute(SET_SLUGS).scalar()
    connection.execute(GIVE)
    return taken
