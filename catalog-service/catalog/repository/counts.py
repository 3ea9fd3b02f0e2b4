"""How many products there are of what: kept for categories and brands, counted for all other filters."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    update,
)

from catalog.domain import Count, Facets, Filter
from catalog.repository.search import BRANDS, CATEGORIES, MOST_SHAPES, conditions, shape_of, values_of
from catalog.repository.words import learn_words
from catalog.tables import catalogue_changes, facet_counts, products, recount

MOST_COUNTED = 2_000  # Products that a facet is counted among, unless its numbers are kept.
MOST_VALUES = 100  # Categories and brands of a facet.
REST = 20  # A recount is followed by a pause of so many times its length.

KEPT = facet_counts.c
ALL: ColumnElement[str] = literal_column("''")  # Stands for all categories or brands.

READ_CATEGORIES = (
    select(KEPT.category, KEPT.products)
    .where(KEPT.brand == ALL, KEPT.category > bindparam("after"))
    .order_by(KEPT.category)
    .limit(bindparam("limit", type_=Integer))
)
PRICES = select(func.min(KEPT.lowest), func.max(KEPT.highest)).where(
    KEPT.category == func.any(CATEGORIES), KEPT.brand == func.any(BRANDS)
)


def _write_leading(
    name: ColumnElement[str], scope: ColumnElement[str], values: BindParameter[Any]
) -> Select[Any]:
    """Return the query of the names with the most products in any of the scope's values."""
    each = func.unnest(values).table_valued("value").render_derived("each")
    part = (
        select(name.label("name"), KEPT.products)
        .where(scope == each.c.value, name != ALL)
        .order_by(KEPT.products.desc())
        .limit(MOST_VALUES)
        .lateral("part")
    )
    total = func.sum(part.c.products)
    return (
        select(part.c.name, total)
        .select_from(each.join(part, true()))
        .group_by(part.c.name)
        .order_by(total.desc(), part.c.name)
        .limit(MOST_VALUES)
    )


LEADING_CATEGORIES = _write_leading(KEPT.category, KEPT.brand, BRANDS)
LEADING_BRANDS = _write_leading(KEPT.brand, KEPT.category, CATEGORIES)

# What GROUPING says of a row's category and brand: a bit for each that is left open.
BY_CATEGORY, BY_BRAND, OVER_ALL = 1, 2, 3

COUNT = text("""
    MERGE INTO facet_counts AS kept
    USING (
        SELECT
            CASE WHEN grouping(category) = 1 THEN '' ELSE category END AS category,
            CASE WHEN grouping(brand) = 1 THEN '' ELSE brand END AS brand,
            count(*) AS products, min(unit_amount) AS lowest, max(unit_amount) AS highest
        FROM products
        WHERE removed_at IS NULL
        GROUP BY GROUPING SETS ((category), (brand), (category, brand), ())
        HAVING count(*) > 0 AND (grouping(brand) = 1 OR brand IS NOT NULL)
    ) AS counted ON (kept.category, kept.brand) = (counted.category, counted.brand)
    WHEN MATCHED AND (kept.products, kept.lowest, kept.highest)
            IS DISTINCT FROM (counted.products, counted.lowest, counted.highest)
        THEN UPDATE SET products = counted.products, lowest = counted.lowest, highest = counted.highest
    WHEN NOT MATCHED THEN INSERT VALUES
        (counted.category, counted.brand, counted.products, counted.lowest, counted.highest)
    WHEN NOT MATCHED BY SOURCE THEN DELETE
""")


def claim_recount(connection: Connection) -> bool:
    """Take the turn to recount until the transaction ends; tell whether it is due, and something changed."""
    has_changes = select(catalogue_changes.c.noted_at).exists()
    due = select(recount.c.id).where(recount.c.due_at <= func.now(), has_changes)
    if connection.execute(due.with_for_update(skip_locked=True)).first() is None:
        return False
    # What is noted from here on is for the next recount, and may be in this one, too.
    return connection.execute(delete(catalogue_changes)).rowcount > 0


def recount_products(connection: Connection) -> None:
    """Bring the kept numbers and the known words up to date."""
    # The role's time limit is for requests.
    connection.execute(text("SET LOCAL statement_timeout = '10min'"))
    connection.execute(COUNT)
    learn_words(connection)
    spent = func.clock_timestamp() - func.now()
    connection.execute(update(recount).values(due_at=func.clock_timestamp() + REST * spent))


def count_first(connection: Connection) -> bool:
    """Count if nothing was ever counted, rather than wait for the first recount; tell whether that was so."""
    anything = select(facet_counts.c.products).limit(1)
    if connection.execute(anything).first() is not None:
        return False
    connection.execute(select(recount.c.id).with_for_update())
    if connection.execute(anything).first() is None:
        connection.execute(COUNT)
    return True


def read_categories(connection: Connection, *, after: str, limit: int) -> list[Count]:
    """Return the categories by name, those after a name, with the number of products in each."""
    page = connection.execute(READ_CATEGORIES, {"after": after, "limit": limit})
    return [Count(*row) for row in page]


def read_facets(connection: Connection, wanted: Filter) -> Facets:
    """Return the facets of everything or of categories and brands, from the numbers that are kept."""
    # '' stands for all of them.
    within = {"categories": list(wanted.categories) or [""], "brands": list(wanted.brands) or [""]}
    lowest, highest = connection.execute(PRICES, within).one()
    categories, brands = (
        [Count(name, int(number)) for name, number in connection.execute(query, within)]
        for query in (LEADING_CATEGORIES, LEADING_BRANDS)
    )
    return Facets(categories, brands, lowest, highest, exact=True)


def count_facets(connection: Connection, wanted: Filter) -> Facets:
    """Count the facets of any filter, among so many of the products that fit."""
    counts: dict[Filter, _Counts] = {}

    def count(**without: Any) -> _Counts:
        others = replace(wanted, **without)
        if others not in counts:
            counts[others] = _count(connection, others)
        return counts[others]

    categories, brands = count(categories=()), count(brands=())
    priced = count(lowest=None, highest=None)
    return Facets(
        categories.categories,
        brands.brands,
        priced.lowest,
        priced.highest,
        exact=all(each.exact for each in counts.values()),
    )


@dataclass
class _Counts:
    """What was counted among the products that fit one filter."""

    categories: list[Count] = field(default_factory=list)
    brands: list[Count] = field(default_factory=list)
    lowest: int | None = None
    highest: int | None = None
    exact: bool = True


@lru_cache(MOST_SHAPES)
def _write_count(shape: Filter) -> Select[Any]:
    # The columns together are in no index, so that these are any products and not those of one category.
    among = (
        select(products.c.category, products.c.brand, products.c.unit_amount)
        .where(*conditions(shape))
        .limit(bindparam("limit", type_=Integer))
        .subquery("among")
    )
    total = func.count().label("total")
    return (
        select(
            among.c.category,
            among.c.brand,
            func.grouping(among.c.category, among.c.brand).label("level"),
            func.min(among.c.unit_amount).label("lowest"),
            func.max(among.c.unit_amount).label("highest"),
            total,
        )
        .group_by(func.grouping_sets(among.c.category, among.c.brand, text("()")))
        .order_by(total.desc(), among.c.category, among.c.brand)
    )


def _count(connection: Connection, wanted: Filter) -> _Counts:
    query, values = _write_count(shape_of(wanted)), values_of(wanted)
    counts = _Counts()
    for row in connection.execute(query, {**values, "limit": MOST_COUNTED}):
        if row.level == BY_CATEGORY and len(counts.categories) < MOST_VALUES:
            counts.categories.append(Count(row.category, row.total))
        elif row.level == BY_BRAND and row.brand is not None and len(counts.brands) < MOST_VALUES:
            counts.brands.append(Count(row.brand, row.total))
        elif row.level == OVER_ALL:
            counts.lowest, counts.highest = row.lowest, row.highest
            counts.exact = row.total < MOST_COUNTED
    return counts
