"""SQL that finds the product of each row of an import, and the rows that need a plan."""

from sqlalchemy import Connection, select, text

from catalog.repository.import_rows import matched, staged
from catalog.repository.import_slugs import avoid_slugs_of_source

MATCH = text("""
    CREATE TEMPORARY TABLE matched_products ON COMMIT DROP AS
    SELECT staged.*, coalesce(by_id.id, by_sku.id, by_slug.id) AS product_id,
        coalesce(by_id.id, by_sku.id, by_slug.id) AS variant_id, by_sku.owners,
        coalesce(by_id.id, by_sku.id) IS NOT NULL AS is_named, named.product_id AS slug_owner,
        named.is_current AS slug_is_current, NULL::bigint AS added_id,
        coalesce(
            by_id.further_variants > 0 OR by_id.withdrawn_at IS NOT NULL,
            by_sku.has_further, by_slug.has_further, false
        )
            OR options IS NOT NULL OR option_names IS NOT NULL
            OR coalesce(wanted_variant_id <> by_id.id, false) AS is_planned,
        NULL::int AS lead, true AS is_sold, NULL AS problem_field, NULL AS problem
    FROM staged_products AS staged
        LEFT JOIN (SELECT id, further_variants, withdrawn_at FROM products WHERE removed_at IS NULL) AS by_id
            ON by_id.id = staged.wanted_id
        LEFT JOIN (
            SELECT sku, min(id) AS id, count(*) AS owners, bool_or(has_further) AS has_further
            FROM (
                SELECT sku, id, further_variants > 0 AS has_further
                FROM products
                WHERE removed_at IS NULL AND withdrawn_at IS NULL
                    AND sku IN (SELECT sku FROM staged_products WHERE wanted_id IS NULL)
                UNION ALL
                SELECT variant.sku, parent.id, true
                FROM products AS variant JOIN products AS parent ON parent.id = variant.parent_id
                WHERE variant.parent_id IS NOT NULL AND variant.withdrawn_at IS NULL
                    AND parent.removed_at IS NULL
                    AND variant.sku IN (SELECT sku FROM staged_products WHERE wanted_id IS NULL)
            ) AS sold
            GROUP BY sku
        ) AS by_sku ON staged.wanted_id IS NULL AND by_sku.sku = staged.sku
        LEFT JOIN (
            SELECT slug, id, further_variants > 0 OR withdrawn_at IS NOT NULL AS has_further
            FROM product_slugs JOIN products ON id = product_id
            WHERE removed_at IS NULL
                AND slug IN (SELECT wanted_slug FROM staged_products WHERE wanted_slug IS NOT NULL)
        ) AS by_slug ON staged.wanted_id IS NULL AND by_sku.id IS NULL AND by_slug.slug = staged.wanted_slug
        LEFT JOIN product_slugs AS named ON named.slug = staged.slug
""")
# The rows of a group are for the product that one of them names, by its id or else by a SKU.
JOIN_GROUPS = text("""
    UPDATE matched_products AS line
    SET product_id = CASE WHEN is_named THEN product_id ELSE joined.id END,
        variant_id = CASE WHEN is_named THEN product_id ELSE joined.id END, is_planned = true
    FROM (
        SELECT group_key,
            coalesce(
                min(product_id) FILTER (WHERE wanted_id IS NOT NULL),
                min(product_id) FILTER (WHERE is_named),
                min(product_id)
            ) AS id
        FROM matched_products WHERE group_key IS NOT NULL
        GROUP BY group_key HAVING count(*) > 1
    ) AS joined
    WHERE line.group_key = joined.group_key
""")
SPREAD_PLANS = text("""
    UPDATE matched_products SET is_planned = true
    WHERE NOT is_planned AND product_id IN (SELECT product_id FROM matched_products WHERE is_planned)
""")
NAME_LEADS = text("""
    UPDATE matched_products AS line SET lead = planned.lead, variant_id = NULL, is_sold = false
    FROM (
        SELECT place, min(place) OVER (
            PARTITION BY coalesce(product_id::text, 'group ' || group_key, 'place ' || place)
        ) AS lead
        FROM matched_products WHERE is_planned
    ) AS planned
    WHERE line.place = planned.place
""")


def find_products(connection: Connection) -> bool:
    """Fill the table `matched_products` from the staged rows; return whether any row needs a plan."""
    any_handle = select(staged.c.place).where(staged.c.wanted_slug.is_not(None)).limit(1)
    if connection.execute(any_handle).first():
        avoid_slugs_of_source(connection)
    connection.execute(MATCH)
    connection.execute(text("CREATE INDEX ON matched_products (place)"))
    connection.execute(text("CREATE INDEX ON matched_products (product_id)"))
    connection.execute(text("ANALYZE matched_products"))
    any_group = select(matched.c.place).where(matched.c.group_key.is_not(None)).limit(1)
    if connection.execute(any_group).first():
        connection.execute(JOIN_GROUPS)
    any_plan = select(matched.c.place).where(matched.c.is_planned).limit(1)
    has_plans = connection.execute(any_plan).first() is not None
    if has_plans:
        connection.execute(SPREAD_PLANS)
        connection.execute(NAME_LEADS)
        connection.execute(text("CREATE INDEX ON matched_products (lead, place) WHERE is_planned"))
        connection.execute(text("CREATE INDEX ON matched_products (variant_id)"))
        connection.execute(text("ANALYZE matched_products"))
    return has_plans
