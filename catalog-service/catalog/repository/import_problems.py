"""SQL that finds the invalid rows of an import.

`place` tells rows apart, and `row` is the number that the caller sees.
"""

from sqlalchemy import text

PROBLEMS = text("""
    WITH sold AS (
        -- The variants for sale.
        SELECT id, id AS product_id, sku FROM products
        WHERE removed_at IS NULL AND withdrawn_at IS NULL
        UNION ALL
        SELECT variant.id, parent.id, variant.sku
        FROM products AS variant JOIN products AS parent ON parent.id = variant.parent_id
        WHERE variant.parent_id IS NOT NULL AND variant.withdrawn_at IS NULL AND parent.removed_at IS NULL
    ), problems AS (
        SELECT row, 'id' AS field, 'No product for sale has this id.' AS detail
        FROM matched_products WHERE wanted_id IS NOT NULL AND product_id IS NULL
        UNION ALL
        SELECT row, problem_field, problem FROM matched_products WHERE problem IS NOT NULL
        UNION ALL
        SELECT row, 'sku', 'Several products have this SKU; use the id instead.'
        FROM matched_products WHERE owners > 1
        UNION ALL
        SELECT row, 'id', format('Row %s is for the same %s.', first,
            CASE WHEN is_planned THEN 'variant' ELSE 'product' END)
        FROM (
            SELECT row, is_planned, place, min(place) OVER same AS first_place, min(row) OVER same AS first
            FROM matched_products WHERE variant_id IS NOT NULL AND is_sold
            WINDOW same AS (PARTITION BY variant_id)
        ) AS same WHERE place <> first_place
        UNION ALL
        SELECT row, 'title', 'Required for a new product.'
        FROM matched_products
        WHERE wanted_id IS NULL AND product_id IS NULL AND NOT is_planned AND NOT 'title' = ANY (given)
        UNION ALL
        SELECT row, 'unit_amount',
            format('Required for a new %s.', CASE WHEN product_id IS NULL THEN 'product' ELSE 'variant' END)
        FROM matched_products
        WHERE (wanted_id IS NULL OR product_id IS NOT NULL) AND variant_id IS NULL AND is_sold
            AND NOT 'unit_amount' = ANY (given)
        UNION ALL
        SELECT row, 'version', format('The product is at version %s now.', version)
        FROM matched_products JOIN products ON id = product_id
        WHERE wanted_version IS NOT NULL AND wanted_version <> version
        UNION ALL
        SELECT row, 'variant_version', format('The variant is at version %s now.', version)
        FROM matched_products JOIN products ON id = variant_id
        WHERE is_sold AND wanted_variant_version IS NOT NULL AND wanted_variant_version <> version
        UNION ALL
        SELECT row, 'on_hand', format('%s units are held for orders.', reserved)
        FROM matched_products AS line JOIN products ON id = variant_id
        WHERE is_sold AND line.on_hand IS NOT NULL AND line.on_hand < reserved
        UNION ALL
        -- Source products may already share a SKU, so only rows that introduce a duplicate are problems.
        SELECT row, 'sku', format('Row %s has the same SKU.', first_row)
        FROM (
            SELECT row, place, is_new, first_value(place) OVER same AS first,
                first_value(row) OVER same AS first_row
            FROM (
                SELECT row, place, coalesce(line.sku, products.sku) AS sku,
                    line.sku IS NOT NULL AND line.sku IS DISTINCT FROM products.sku AS is_new
                FROM matched_products AS line LEFT JOIN products ON id = variant_id
                WHERE is_sold
            ) AS named
            WHERE sku IS NOT NULL
            WINDOW same AS (PARTITION BY sku ORDER BY is_new, place)
        ) AS same WHERE is_new AND place <> first
        UNION ALL
        SELECT row, 'slug', format('Product %s has or had this slug.', slug_owner)
        FROM matched_products WHERE slug_owner IS DISTINCT FROM product_id AND slug_owner IS NOT NULL
        UNION ALL
        SELECT row, 'slug', format('Row %s has the same slug.', first_row)
        FROM (
            SELECT row, coalesce(lead, place) AS lead, first_value(coalesce(lead, place)) OVER same AS first,
                first_value(row) OVER same AS first_row
            FROM matched_products WHERE slug IS NOT NULL AND slug_owner IS NULL
            WINDOW same AS (PARTITION BY slug ORDER BY place)
        ) AS same WHERE lead <> first
        UNION ALL
        SELECT row, 'image_alts', 'The product has fewer images than alt texts.'
        FROM matched_products AS line LEFT JOIN products ON id = product_id
        WHERE cardinality(line.image_alts) > coalesce(
            cardinality(line.images),
            (
                SELECT max(cardinality(other.images)) FROM matched_products AS other
                WHERE other.is_planned AND other.lead = line.lead
            ),
            cardinality(products.images), 0
        )
        UNION ALL
        SELECT row, 'sku', format('Product %s has this SKU.', sold.product_id)
        FROM matched_products AS line
            JOIN sold ON sold.sku = line.sku AND sold.id IS DISTINCT FROM line.variant_id
        WHERE is_sold AND NOT EXISTS (
            SELECT FROM products AS own WHERE own.id = line.variant_id AND own.sku = line.sku
        ) AND NOT EXISTS (
            SELECT FROM matched_products AS other WHERE other.variant_id = sold.id AND other.sku <> sold.sku)
    )
    SELECT row, field, detail, count(*) OVER () AS total
    FROM (SELECT DISTINCT ON (row) * FROM problems ORDER BY row, field) AS first
    ORDER BY row LIMIT :limit
""")
