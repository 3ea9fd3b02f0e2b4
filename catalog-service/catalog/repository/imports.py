"""SQL for imports: copy the lines into a temporary table, validate them, and apply them.

One transaction does all of it, so other transactions see nothing before it commits, and a failure leaves
nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from catalog.repository.categories import claim_keys
from catalog.repository.edits import add_edits
from catalog.repository.prices import describe, set_regular_amount
from catalog.repository.stock import OWNED, settle
from catalog.tables import products

DESCRIBED = ("sku", "title", "brand", "category", "unit_amount", "description", "rating", "images")

STAGED: list[tuple[str, Any]] = [
    ("row", Integer()),
    ("given", ARRAY(Text)),
    ("wanted_id", BigInteger()),
    ("wanted_version", BigInteger()),
    *[(name, products.c[name].type) for name in DESCRIBED],
    ("on_hand", BigInteger()),
]
temporary = MetaData()
staged = Table(
    "staged_products",
    temporary,
    *[Column(name, kind) for name, kind in STAGED],
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
# The same lines, each with its existing product, or NULL for a new one.
matched = Table(
    "matched_products",
    temporary,
    *[Column(name, kind) for name, kind in STAGED],
    Column("product_id", BigInteger),
    Column("owners", BigInteger),
)

MATCH = text("""
    CREATE TEMPORARY TABLE matched_products ON COMMIT DROP AS
    SELECT staged.*, coalesce(by_id.id, by_sku.id) AS product_id, by_sku.owners
    FROM staged_products AS staged
        LEFT JOIN products AS by_id ON by_id.id = staged.wanted_id AND by_id.removed_at IS NULL
        LEFT JOIN (
            SELECT sku, min(id) AS id, count(*) AS owners
            FROM products
            WHERE removed_at IS NULL AND sku IN (SELECT sku FROM staged_products WHERE wanted_id IS NULL)
            GROUP BY sku
        ) AS by_sku ON staged.wanted_id IS NULL AND by_sku.sku = staged.sku
""")

PROBLEMS = text("""
    WITH problems AS (
        SELECT row, 'id' AS field, 'No product for sale has this id.' AS detail
        FROM matched_products WHERE wanted_id IS NOT NULL AND product_id IS NULL
        UNION ALL
        SELECT row, 'sku', 'Several products have this SKU; use the id instead.'
        FROM matched_products WHERE owners > 1
        UNION ALL
        SELECT row, 'id', format('Row %s is for the same product.', first)
        FROM (
            SELECT row, min(row) OVER (PARTITION BY product_id) AS first
            FROM matched_products WHERE product_id IS NOT NULL
        ) AS same WHERE row <> first
        UNION ALL
        SELECT row, name, 'Required for a new product.'
        FROM matched_products CROSS JOIN unnest(ARRAY['title', 'unit_amount']) AS name
        WHERE wanted_id IS NULL AND product_id IS NULL AND NOT name = ANY (given)
        UNION ALL
        SELECT row, 'version', format('The product is at version %s now.', version)
        FROM matched_products JOIN products ON id = product_id WHERE wanted_version <> version
        UNION ALL
        SELECT row, 'on_hand', format('%s units are held for orders.', reserved)
        FROM matched_products AS line JOIN products ON id = product_id WHERE line.on_hand < reserved
        UNION ALL
        -- Source products may already share a SKU, so only lines that introduce a duplicate are problems.
        SELECT row, 'sku', format('Row %s has the same SKU.', first)
        FROM (
            SELECT row, is_new, first_value(row) OVER (PARTITION BY sku ORDER BY is_new, row) AS first
            FROM (
                SELECT row, coalesce(line.sku, products.sku) AS sku,
                    line.sku IS NOT NULL AND line.sku IS DISTINCT FROM products.sku AS is_new
                FROM matched_products AS line LEFT JOIN products ON id = product_id
            ) AS named
            WHERE sku IS NOT NULL
        ) AS same WHERE is_new AND row <> first
        UNION ALL
        SELECT row, 'sku', format('Product %s has this SKU.', products.id)
        FROM matched_products AS line
            JOIN products
                ON products.sku = line.sku AND removed_at IS NULL AND id IS DISTINCT FROM product_id
        WHERE NOT EXISTS (
            SELECT FROM products AS own WHERE own.id = product_id AND own.sku = line.sku
        ) AND NOT EXISTS (
            SELECT FROM matched_products AS other WHERE other.product_id = id AND other.sku <> products.sku)
    )
    SELECT row, field, detail, count(*) OVER () AS total
    FROM (SELECT DISTINCT ON (row) * FROM problems ORDER BY row, field) AS first
    ORDER BY row LIMIT :limit
""")

INSERT = text("""
    INSERT INTO products (id, sku, title, brand, category, unit_amount, description, rating, images,
                          on_hand, source_on_hand)
    SELECT id, coalesce(sku, 'P-' || id), title, brand, coalesce(category, 'other'), unit_amount,
           coalesce(description, ''), rating, coalesce(images, '{}'), coalesce(on_hand, 0),
           coalesce(on_hand, 0)
    FROM (
        SELECT nextval('local_product_ids') AS id, line.*
        FROM matched_products AS line
        WHERE product_id IS NULL AND row > :after AND row <= :upto
    ) AS fresh
""")


def begin_import(connection: Connection) -> bool:
    """Create the table for the lines; return False if another import is running."""
    # The role's statement_timeout is meant for requests; an import may take longer.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    if not connection.execute(text("SELECT pg_try_advisory_xact_lock(5714004)")).scalar():
        return False
    staged.create(connection)
    return True


@contextmanager
def staging(connection: Connection) -> Iterator[Callable[[int, Mapping[str, Any]], None]]:
    """Yield a function that writes a line, given its number and its values by column."""
    names = [name for name, _kind in STAGED]
    statement = f"COPY staged_products ({', '.join(names)}) FROM STDIN"
    with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[attr-defined]

        def write(row: int, values: Mapping[str, Any]) -> None:
            copy.write_row([row, *[values.get(name) for name in names[1:]]])

        yield write


def match_rows(connection: Connection) -> None:
    """Find the product of each line, and lock the products that will change."""
    connection.execute(text("ANALYZE staged_products"))
    paths = select(staged.c.category).where(staged.c.category.is_not(None)).distinct()
    for path, key in claim_keys(connection, connection.execute(paths).scalars().all()).items():
        if key != path:
            connection.execute(update(staged).where(staged.c.category == path).values(category=key))
    connection.execute(MATCH)
    connection.execute(text("CREATE INDEX ON matched_products (row)"))
    connection.execute(text("CREATE INDEX ON matched_products (product_id)"))
    connection.execute(text("ANALYZE matched_products"))
    _values, differs = _changes()
    locked = (
        select(products.c.id)
        .join(matched, matched.c.product_id == products.c.id)
        .where(differs)
        .order_by(products.c.id)
        .with_for_update(of=products, key_share=True)
    )
    connection.execute(select(func.count()).select_from(locked.subquery("locked")))


def find_problems(connection: Connection, limit: int) -> tuple[list[tuple[int, str, str]], int]:
    """Return the first invalid lines as (row, field, detail), and the number of all invalid lines."""
    rows = connection.execute(PROBLEMS, {"limit": limit}).all()
    return [(row.row, row.field, row.detail) for row in rows], rows[0].total if rows else 0


def insert_rows(connection: Connection, *, after: int, upto: int) -> int:
    """Insert the new products of these lines; return their number."""
    return connection.execute(INSERT, {"after": after, "upto": upto}).rowcount


def update_rows(connection: Connection, *, after: int, upto: int) -> int:
    """Update the existing products of these lines; return the number of products that changed."""
    values, differs = _changes()
    changed = connection.execute(
        update(products)
        .where(products.c.id == matched.c.product_id, matched.c.row > after, matched.c.row <= upto, differs)
        .values(values)
    )
    return changed.rowcount


def _changes() -> tuple[dict[str, Any], ColumnElement[bool]]:
    """Return the new values of a product, and the condition that any of them differs."""

    def given(name: str) -> ColumnElement[bool]:
        return func.array_position(matched.c.given, name).is_not(None)

    described = {name: case((given(name), matched.c[name]), else_=describe(name)) for name in DESCRIBED}
    differs = tuple_(*[describe(name) for name in DESCRIBED]).is_distinct_from(tuple_(*described.values()))
    is_counted = and_(given("on_hand"), or_(matched.c.on_hand != OWNED, products.c.shortfall > 0))
    owned = case((is_counted, matched.c.on_hand), else_=OWNED)
    edits = {name: and_(given(name), describe(name).is_distinct_from(matched.c[name])) for name in DESCRIBED}
    edits["stock"] = is_counted
    names = func.array_remove(
        array([case((differs_, literal(name)), else_=None) for name, differs_ in edits.items()]),
        literal_column("NULL"),
    )
    values = {
        **described,
        **set_regular_amount(described["unit_amount"]),
        **settle(owned, products.c.reserved),
        "source_on_hand": products.c.source_on_hand + owned - OWNED,
        "edited": add_edits(names),
        "version": products.c.version + case((differs, 1), else_=0),
        "updated_at": case((differs, func.now()), else_=products.c.updated_at),
    }
    return values, or_(differs, is_counted)
