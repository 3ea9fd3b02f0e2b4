"""Facet counts: stored for categories and brands, computed on demand for all other filters."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    func,
    literal_column,
    select,
    text,
    true,
    update,
)

from catalog.category_tree import count_with_below, title_of
from catalog.domain import Count, Facets, Filter
from catalog.repository.categories import WANTED_KEYS, learn_keys, read_moved, read_settings
from catalog.repository.metadata_keys import MARKED
from catalog.repository.search import (
    BRANDS,
    MAX_SHAPES,
    limit_matching,
    parameters_of,
    shape_of,
)
from catalog.repository.value_counts import count_metadata, count_options
from catalog.repository.words import learn_words
from catalog.tables import (
    FOR_SALE,
    HAS_OPTIONS,
    HIGHEST_AMOUNT,
    IS_MOVED,
    LOWEST_AMOUNT,
    catalogue_changes,
    categories,
    category_keys,
    facet_counts,
    products,
    recount,
)

MAX_COUNTED = 2_000  # Matching products to count on demand.
MAX_VALUES = 100  # Categories and brands in a facet.
PAUSE_FACTOR = 20  # After a recount, the next one waits this many times its duration.

STORED = facet_counts.c
ALL: ColumnElement[str] = literal_column("''")  # The row for all categories or all brands.

# What the shop has, so that facets look for nothing that is not there.
HAS = (
    select(products.c.id).where(FOR_SALE, HAS_OPTIONS).exists().label("has_options"),
    select(category_keys.c.key).where(IS_MOVED).exists().label("has_moved"),
    select(categories.c.path).exists().label("has_settings"),
    MARKED,
)
PRICES = select(
    func.min(STORED.lowest).label("lowest"),
    func.max(STORED.highest).label("highest"),
    *HAS,
).where(STORED.category == func.any(WANTED_KEYS), STORED.brand == func.any(BRANDS))


def _build_leading_query(
    name: ColumnElement[str], scope: ColumnElement[str], values: ColumnElement[Any]
) -> Select[Any]:
    """Return the query for the names with the most products within the given values of the scope."""
    each = func.unnest(values).table_valued("value").render_derived("each")
    part = (
        select(name.label("name"), STORED.products)
        .where(scope == each.c.value, name != ALL)
        .order_by(STORED.products.desc())
        .limit(MAX_VALUES)
        .lateral("part")
    )
    total = func.sum(part.c.products)
    return (
        select(part.c.name, total)
        .select_from(each.join(part, true()))
        .group_by(part.c.name)
        .order_by(total.desc(), part.c.name)
        .limit(MAX_VALUES)
    )


LEADING_BRANDS = _build_leading_query(STORED.brand, STORED.category, WANTED_KEYS)
# All categories, because each of them counts in the categories above it.
READ_CATEGORIES = (
    select(func.coalesce(category_keys.c.path, STORED.category), func.sum(STORED.products))
    .select_from(facet_counts.outerjoin(category_keys, category_keys.c.key == STORED.category))
    .where(STORED.brand == func.any(BRANDS), STORED.category != ALL)
    .group_by(func.coalesce(category_keys.c.path, STORED.category))
)

# The values of grouping(category, brand): one bit for each column that a row aggregates over.
BY_CATEGORY, BY_BRAND, OVER_ALL = 1, 2, 3

COUNT = text("""
    MERGE INTO facet_counts AS kept
    USING (
        SELECT
            CASE WHEN grouping(category) = 1 THEN '' ELSE category END AS category,
            CASE WHEN grouping(brand) = 1 THEN '' ELSE brand END AS brand,
            count(*) AS products,
            min(lowest_amount(unit_amount, withdrawn_at, further_lowest)) AS lowest,
            max(highest_amount(unit_amount, withdrawn_at, further_highest)) AS highest
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
    """Claim the recount until the transaction ends; return whether it is due and products have changed."""
    has_changes = select(catalogue_changes.c.noted_at).exists()
    due = select(recount.c.id).where(recount.c.due_at <= func.now(), has_changes)
    if connection.execute(due.with_for_update(skip_locked=True)).first() is None:
        return False
    # Changes from here on trigger the next recount, even if this one already includes them.
    return connection.execute(delete(catalogue_changes)).rowcount > 0


def recount_products(connection: Connection) -> None:
    """Update the stored counts and the known words."""
    # The role's statement_timeout is meant for requests.
    connection.execute(text("SET LOCAL statement_timeout = '10min'"))
    connection.execute(COUNT)
    learn_keys(connection)
    learn_words(connection)
    spent = func.clock_timestamp() - func.now()
    connection.execute(update(recount).values(due_at=func.clock_timestamp() + PAUSE_FACTOR * spent))


def count_if_empty(connection: Connection) -> bool:
    """Count the products if no counts are stored yet; return whether that was the case."""
    anything = select(facet_counts.c.products).limit(1)
    if connection.execute(anything).first() is not None:
        return False
    connection.execute(select(recount.c.id).with_for_update())
    if connection.execute(anything).first() is None:
        connection.execute(COUNT)
        learn_keys(connection)
    return True


def read_facets(connection: Connection, wanted: Filter) -> Facets:
    """Return the facets of a filter by categories and brands only, from the stored counts."""
    within = {"categories": list(wanted.categories) or [""], "brands": list(wanted.brands) or [""]}
    shop = connection.execute(PRICES, within).one()
    direct = [(path, int(number)) for path, number in connection.execute(READ_CATEGORIES, within)]
    brands = [Count(name, int(number)) for name, number in connection.execute(LEADING_BRANDS, within)]
    return Facets(
        _lead_categories(connection, direct, shop),
        brands,
        shop.lowest,
        shop.highest,
        count_options(connection, wanted) if shop.has_options else [],
        count_metadata(connection, wanted, shop.marked),
        exact=True,
    )


def count_facets(connection: Connection, wanted: Filter) -> Facets:
    """Count the facets of any filter, among at most MAX_COUNTED matching products."""
    counts: dict[Filter, _Counts] = {}

    def count(**without: Any) -> _Counts:
        others = replace(wanted, **without)
        if others not in counts:
            counts[others] = _count(connection, others)
        return counts[others]

    grouped, brands = count(categories=()), count(brands=())
    priced = count(lowest=None, highest=None)
    shop = priced.shop
    moved = read_moved(connection) if shop.has_moved else {}
    direct = [(moved.get(each.name, each.name), each.count) for each in grouped.categories]
    return Facets(
        _lead_categories(connection, direct, shop),
        brands.brands,
        shop.lowest,
        shop.highest,
        count_options(connection, wanted) if shop.has_options else [],
        count_metadata(connection, wanted, shop.marked),
        exact=all(each.exact for each in counts.values()),
    )


def _lead_categories(
    connection: Connection, direct: list[tuple[str, int]], shop: Row[*tuple[Any, ...]]
) -> list[Count]:
    """Return the categories with the most products, those below included, from the counts of each alone."""
    totals = sorted(count_with_below(direct).items(), key=lambda each: (-each[1], each[0]))[:MAX_VALUES]
    settings = read_settings(connection, [path for path, _number in totals]) if shop.has_settings else {}
    return [Count(path, number, title_of(path, settings)) for path, number in totals]


@dataclass
class _Counts:
    """The counts among the products that match one filter."""

    categories: list[Count] = field(default_factory=list)
    brands: list[Count] = field(default_factory=list)
    # The row over all of them, with what the shop has.
    shop: Any = None
    exact: bool = True


@lru_cache(MAX_SHAPES)
def _build_count_query(shape: Filter) -> Select[Any]:
    # No index covers these columns together, so the limit does not pick the products of one category only.
    amounts = [LOWEST_AMOUNT.label("lowest"), HIGHEST_AMOUNT.label("highest")]
    among = limit_matching(shape, [products.c.category, products.c.brand, *amounts]).subquery("among")
    total = func.count().label("total")
    return (
        select(
            among.c.category,
            among.c.brand,
            func.grouping(among.c.category, among.c.brand).label("level"),
            func.min(among.c.lowest).label("lowest"),
            func.max(among.c.highest).label("highest"),
            total,
            *HAS,
        )
        .group_by(func.grouping_sets(among.c.category, among.c.brand, text("()")))
        .order_by(total.desc(), among.c.category, among.c.brand)
    )


def _count(connection: Connection, wanted: Filter) -> _Counts:
    query, values = _build_count_query(shape_of(wanted)), parameters_of(wanted)
    counts = _Counts()
    for row in connection.execute(query, {**values, "limit": MAX_COUNTED}):
        if row.level == BY_CATEGORY:
            counts.categories.append(Count(row.category, row.total))
        elif row.level == BY_BRAND and row.brand is not None and len(counts.brands) < MAX_VALUES:
            counts.brands.append(Count(row.brand, row.total))
        elif row.level == OVER_ALL:
            counts.shop = row
            counts.exact = row.total < MAX_COUNTED
    return counts
