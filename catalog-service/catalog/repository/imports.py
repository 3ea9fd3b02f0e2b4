"""SQL for imports: copy the rows into a temporary table, validate them, and apply them.

One transaction does all of it, so other transactions see nothing before it commits, and a failure leaves
nothing. A row is for a variant, and may also set fields of its product. One statement applies the rows of
products with one variant. The other rows need a plan, which `use_cases.import_plans` makes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, array

from catalog.repository.categories import claim_keys
from catalog.repository.edits import DESCRIBED as FROM_SOURCE
from catalog.repository.edits import add_edits
from catalog.repository.import_alts import ALTS_DIFFER
from catalog.repository.import_matches import find_products
from catalog.repository.import_problems import PROBLEMS
from catalog.repository.import_rows import DESCRIBED, STAGED, matched, staged
from catalog.repository.prices import describe, set_regular_amount
from catalog.repository.stock import OWNED, settle
from catalog.tables import products

RECORD_PLANS = text("""
    UPDATE matched_products AS line
    SET variant_id = planned.variant_id, is_sold = planned.is_sold,
        problem_field = planned.problem_field, problem = planned.problem
    FROM jsonb_to_recordset(:plans) AS planned
        (place int, variant_id bigint, is_sold boolean, problem_field text, problem text)
    WHERE line.place = planned.place
""")

INSERT = text("""
    WITH fresh AS (
        SELECT nextval('local_product_ids') AS id, line.*
        FROM matched_products AS line
        WHERE product_id IS NULL AND NOT is_planned AND place > :after AND place <= :upto
    ), noted AS (
        UPDATE matched_products AS line SET added_id = fresh.id FROM fresh WHERE line.place = fresh.place
    )
    INSERT INTO products (id, sku, title, brand, category, unit_amount, description, rating, images,
                          compare_at_amount, weight_grams, low_stock_threshold, metadata, product_metadata,
                          tax_class, on_hand, source_on_hand)
    SELECT id, coalesce(sku, 'P-' || id), title, brand, coalesce(category, 'other'), unit_amount,
           coalesce(description, ''), rating, coalesce(images, '{}'), compare_at_amount, weight_grams,
           low_stock_threshold, coalesce(metadata, '{}'), coalesce(product_metadata, '{}'), tax_class,
           coalesce(on_hand, 0), coalesce(on_hand, 0)
    FROM fresh
""")


def begin_import(connection: Connection) -> bool:
    """Create the table for the rows; return False if another import is running."""
    # The role's statement_timeout is meant for requests; an import may take longer.
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    if not connection.execute(text("SELECT pg_try_advisory_xact_lock(5714004)")).scalar():
        return False
    staged.create(connection)
    return True


@contextmanager
def staging(connection: Connection) -> Iterator[Callable[[int, Mapping[str, Any]], None]]:
    """Yield a function that writes a row, given its place and its values by column."""
    names = [name for name, _kind in STAGED[1:]]
    as_json = {name for name, kind in STAGED if isinstance(kind, JSONB)}
    statement = f"COPY staged_products (place, {', '.join(names)}) FROM STDIN"
    with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:  # type: ignore[attr-defined]

        def write(place: int, values: Mapping[str, Any]) -> None:
            # Most rows have none of the documents.
            documents = {name: json.dumps(values[name]) for name in as_json & values.keys()}
            if documents:
                values = {**values, **documents}
            copy.write_row([place, *map(values.get, names)])

        yield write


def match_rows(connection: Connection, given: Set[str]) -> bool:
    """Find the product of each row, and lock what will change; return whether any row needs a plan.

    `given` has the columns that any row sets.
    """
    connection.execute(text("ANALYZE staged_products"))
    paths = select(staged.c.category).where(staged.c.category.is_not(None)).distinct()
    for path, key in claim_keys(connection, connection.execute(paths).scalars().all()).items():
        if key != path:
            connection.execute(update(staged).where(staged.c.category == path).values(category=key))
    has_plans = find_products(connection)
    _lock(connection, given, with_plans=has_plans)
    return has_plans


def _lock(connection: Connection, given: Set[str], *, with_plans: bool) -> None:
    """Lock the rows that will change, and all variants of products with a plan, in the order of their ids."""
    _values, differs = _changes(given)
    changed = (
        select(products.c.id)
        .join(matched, matched.c.product_id == products.c.id)
        .where(differs, ~matched.c.is_planned)
    )
    if with_plans:
        planned = select(matched.c.product_id).where(matched.c.is_planned)
        wanted = union_all(
            changed,
            select(products.c.id).where(products.c.id.in_(planned)),
            select(products.c.id).where(products.c.parent_id.is_not(None), products.c.parent_id.in_(planned)),
        ).subquery("wanted")
        changed = select(products.c.id).where(products.c.id.in_(select(wanted.c.id)))
    locked = changed.order_by(products.c.id).with_for_update(of=products, key_share=True)
    connection.execute(select(func.count()).select_from(locked.subquery("locked")))


def read_planned(connection: Connection, *, after: int, upto: int) -> Iterator[Mapping[str, Any]]:
    """Yield the rows that need a plan, product by product, through a server-side cursor."""
    query = (
        select(matched)
        .where(matched.c.is_planned, matched.c.lead > after, matched.c.lead <= upto)
        .order_by(matched.c.lead, matched.c.place)
    )
    streamed = connection.execute(query, execution_options={"stream_results": True, "yield_per": 500})
    for row in streamed.mappings():
        yield dict(row)


def record_plans(connection: Connection, plans: list[dict[str, Any]]) -> None:
    """Write the variants and the problems that plans have found to the rows, given by `place`."""
    connection.execute(RECORD_PLANS, {"plans": json.dumps(plans)})


def find_problems(
    connection: Connection, limit: int, *, has_plans: bool
) -> tuple[list[tuple[int, str, str]], int]:
    """Return the first invalid rows as (row, field, detail), and the number of all invalid rows."""
    if has_plans:
        # They have written the variants of the rows since the last statistics.
        connection.execute(text("ANALYZE matched_products"))
    rows = connection.execute(PROBLEMS, {"limit": limit}).all()
    return [(row.row, row.field, row.detail) for row in rows], rows[0].total if rows else 0


def insert_rows(connection: Connection, *, after: int, upto: int) -> int:
    """Insert the new products of these rows that need no plan; return their number."""
    return connection.execute(INSERT, {"after": after, "upto": upto}).rowcount


def note_added(connection: Connection, lead: int, product_id: int) -> None:
    """Note the new product of the rows that share a plan."""
    connection.execute(
        update(matched).where(matched.c.is_planned, matched.c.lead == lead).values(added_id=product_id)
    )


def update_rows(connection: Connection, given: Set[str], *, after: int, upto: int) -> int:
    """Update the products of these rows that need no plan; return the number of products that changed."""
    values, differs = _changes(given)
    changed = connection.execute(
        update(products)
        .where(
            products.c.id == matched.c.product_id,
            ~matched.c.is_planned,
            matched.c.place > after,
            matched.c.place <= upto,
            differs,
        )
        .values(values)
    )
    return changed.rowcount


def _changes(columns: Set[str]) -> tuple[dict[str, Any], ColumnElement[bool]]:
    """Return the new values of a product, and the condition that any of them differs, for these columns."""

    def given(name: str) -> ColumnElement[bool]:
        return func.array_position(matched.c.given, name).is_not(None)

    described = {
        name: case((given(name), matched.c[name]), else_=describe(name))
        for name in DESCRIBED
        if name in columns
    }
    differs: ColumnElement[bool] = false()
    if described:
        differs = tuple_(*[describe(name) for name in described]).is_distinct_from(
            tuple_(*described.values())
        )
    is_counted = and_(given("on_hand"), or_(matched.c.on_hand != OWNED, products.c.shortfall > 0))
    if "slug" in columns:
        is_kept = and_(matched.c.slug_owner == products.c.id, matched.c.slug_is_current)
        differs = or_(differs, and_(matched.c.slug.is_not(None), is_kept.is_not(true())))
    owned = case((is_counted, matched.c.on_hand), else_=OWNED)
    edits = {
        name: and_(given(name), describe(name).is_distinct_from(matched.c[name]))
        for name in FROM_SOURCE
        if name in columns
    }
    edits["stock"] = is_counted
    names = func.array_remove(
        array([case((differs_, literal(name)), else_=None) for name, differs_ in edits.items()]),
        literal_column("NULL"),
    )
    values = {
        **described,
        **(set_regular_amount(described["unit_amount"]) if "unit_amount" in described else {}),
        **settle(owned, products.c.reserved),
        "source_on_hand": products.c.source_on_hand + owned - OWNED,
        "edited": add_edits(names),
        "version": products.c.version + case((differs, 1), else_=0),
        "updated_at": case((differs, func.now()), else_=products.c.updated_at),
    }
    # As by the API, a new alt text makes no new version.
    has_new_alts = ALTS_DIFFER if "image_alts" in columns else false()
    return values, or_(differs, is_counted, has_new_alts)
