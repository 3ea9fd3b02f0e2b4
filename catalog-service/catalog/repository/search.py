"""Looking for products: filters, orders, words.

A page is one walk along an index (see the migration that makes them), or, where few products fit, a sort of
these; the planner chooses by what it knows of their numbers. No index has the order by rank: there a bounded
number of those that fit is ranked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, REAL, TSQUERY

from catalog.domain import Filter, Product, Sort, SourceCopy
from catalog.repository.products import PRODUCT, beside_copy, to_copy, to_product
from catalog.tables import FOR_SALE, SORT_KEYS, products

MOST_RANKED = 1_000  # Products of a search, as the index of words finds them.
MOST_SORTED = 2_000  # Products that are rather sorted than looked for along an index.
DESCENDING = {Sort.PRICE_DESCENDING, Sort.RATING, Sort.NEWEST}

MOST_SHAPES = 200  # Of filters, whose queries are kept.

CATEGORIES, BRANDS = (bindparam(name, type_=ARRAY(Text)) for name in ("categories", "brands"))
LOWEST, HIGHEST = (bindparam(name, type_=BigInteger) for name in ("lowest", "highest"))
LIMIT, RANKED = (bindparam(name, type_=Integer) for name in ("limit", "most_ranked"))

# Where a product stands in an order: its sort key, unless that is the id, and its id.
Position = tuple[Any, ...]


@dataclass(frozen=True)
class Page:
    """Some products, each with its position, and how the copying stood when they were read."""

    products: list[Product]
    positions: list[Position]
    copy: SourceCopy


def read_page(
    connection: Connection, wanted: Filter, sort: Sort | None, *, after: Position | None, limit: int
) -> Page:
    """Return up to `limit` products that fit, those after a position, in this order.

    None is the order of how well they fit the words.
    """
    if not wanted.is_counted:
        # What is asked for decides which index is best; a plan for any price or word would not know it.
        connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    if wanted.words is not None:
        # Where a walk through the table begins may be different each time.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        if sort is not None and _are_few(connection, wanted):
            # The planner takes words to be spread evenly over every order; but what is called a walnut
            # something stands at the end of all titles, and a walk there would go through everything.
            connection.execute(text("SET LOCAL enable_indexscan = off"))
    page = _write_page(shape_of(wanted), sort, is_first=after is None)
    place = {f"after_{number}": value for number, value in enumerate(after or ())}
    rows = connection.execute(
        page, {**values_of(wanted), **place, "limit": limit, "most_ranked": MOST_RANKED}
    ).all()
    given = [row for row in rows if row.id is not None]
    return Page(
        [to_product(row) for row in given],
        [(row.id,) if sort is Sort.ID else (row.sort_key, row.id) for row in given],
        to_copy(rows[0]),
    )


def shape_of(wanted: Filter) -> Filter:
    """Return the same filter with other values: for all of its shape a query is written only once."""
    return Filter(
        words=None if wanted.words is None else "",
        corrected=None if wanted.corrected is None else "",
        categories=("",) if wanted.categories else (),
        brands=("",) if wanted.brands else (),
        lowest=None if wanted.lowest is None else 0,
        highest=None if wanted.highest is None else 0,
        in_stock=wanted.in_stock,
    )


def values_of(wanted: Filter) -> dict[str, Any]:
    """Return the parameters of `conditions`, and of a walk along categories or brands."""
    values = {**vars(wanted), "categories": list(wanted.categories), "brands": list(wanted.brands)}
    return {name: value for name, value in values.items() if value not in (None, [])}


def conditions(shape: Filter) -> list[ColumnElement[bool]]:
    """Return what a product must be to fit a filter of this shape; `values_of` has the parameters."""
    found: list[ColumnElement[bool]] = [FOR_SALE]
    if shape.words is not None:
        found.append(products.c.search.op("@@")(_parse_words(shape)))
    if shape.categories:
        found.append(products.c.category == func.any(CATEGORIES))
    if shape.brands:
        found.append(products.c.brand == func.any(BRANDS))
    if shape.lowest is not None:
        found.append(products.c.unit_amount >= LOWEST)
    if shape.highest is not None:
        found.append(products.c.unit_amount <= HIGHEST)
    if shape.lowest is not None and shape.highest is not None:
        # Otherwise the planner would look through everything to find that nothing is between them.
        found.append(LOWEST <= HIGHEST)
    if shape.in_stock is not None:
        found.append(products.c.in_stock.is_(shape.in_stock))
    return found


@lru_cache(MOST_SHAPES)
def _write_page(shape: Filter, sort: Sort | None, *, is_first: bool) -> Select[Any]:
    """Return the query of a page; a later one has `after_0` … as parameters, too."""
    found = (_rank(shape, is_first) if sort is None else _walk(shape, sort, is_first)).subquery("found")
    keys = [found.c.id] if sort is Sort.ID else [found.c.sort_key, found.c.id]
    return beside_copy(found).order_by(*_in_order(sort, keys))


def _are_few(connection: Connection, wanted: Filter) -> bool:
    number: int = connection.execute(_write_count(shape_of(wanted)), values_of(wanted)).scalar_one()
    return number <= MOST_SORTED


@lru_cache(MOST_SHAPES)
def _write_count(shape: Filter) -> Select[int]:
    some = select(products.c.id).where(*conditions(shape)).limit(MOST_SORTED + 1).subquery()
    return select(func.count()).select_from(some)


def _walk(shape: Filter, sort: Sort, is_first: bool) -> Select[Any]:
    """Return a query that goes along an index: of each brand or category asked for, or of everything."""
    key = SORT_KEYS[sort.value.removeprefix("-")]
    keys = [key] if sort is Sort.ID else [key, products.c.id]
    bounds = [bindparam(f"after_{number}", type_=key.type) for number, key in enumerate(keys)]
    query = select(*PRODUCT, key.label("sort_key")).limit(LIMIT)
    if not shape.categories and not shape.brands:
        query = query.where(*conditions(shape))
        query = query if is_first else query.where(_is_after(sort, keys, bounds))
        return query.order_by(*_in_order(sort, keys))
    if shape.brands:
        scope, values, others = products.c.brand, BRANDS, replace(shape, brands=())
    else:
        scope, values, others = products.c.category, CATEGORIES, replace(shape, categories=())
    # The order within each is that of an index; several are merged, a page of each. That the column equals
    # the value is said as a range, and in the order: otherwise the planner might prefer the index of
    # everything, which is far longer where a category's products are not spread evenly over it.
    each = func.unnest(values).table_valued("value").render_derived("each")
    value = each.c.value
    query = query.where(*conditions(others), scope >= value, scope <= value)
    if not is_first:
        query = query.where(_is_after(sort, [scope, *keys], [value, *bounds]))
    part = query.order_by(*_in_order(sort, [scope, *keys])).lateral("part")
    merged = [part.c.id] if sort is Sort.ID else [part.c.sort_key, part.c.id]
    return select(part).select_from(each.join(part, true())).order_by(*_in_order(sort, merged)).limit(LIMIT)


def _rank(shape: Filter, is_first: bool) -> Select[Any]:
    """Return a query of products that fit, by how well they fit the words."""
    some = select(*PRODUCT, products.c.search).where(*conditions(shape)).limit(RANKED).subquery("some")
    # 1: less, the longer the text is.
    rank = func.ts_rank(some.c.search, _parse_words(shape), literal_column("1"))
    columns = [column for column in some.c if column.name != "search"]
    ranked = select(*columns, rank.label("sort_key")).subquery("ranked")
    keys = [ranked.c.sort_key, ranked.c.id]
    query = select(ranked).order_by(*_in_order(None, keys)).limit(LIMIT)
    if is_first:
        return query
    # As a double it would hardly ever equal a rank.
    return query.where(_is_after(None, keys, [cast(bindparam("after_0"), REAL), bindparam("after_1")]))


def _parse_words(shape: Filter) -> ColumnElement[Any]:
    """Return the words as a text search query; they have the syntax of web searches."""
    query = _parse("words")
    return query if shape.corrected is None else query.op("||", return_type=TSQUERY())(_parse("corrected"))


def _parse(name: str) -> ColumnElement[Any]:
    return func.search_query(bindparam(name, type_=Text), type_=TSQUERY)


def _is_after(
    sort: Sort | None, keys: Sequence[ColumnElement[Any]], bounds: Sequence[ColumnElement[Any]]
) -> ColumnElement[bool]:
    here, there = tuple_(*keys), tuple_(*bounds)
    return here < there if _is_descending(sort) else here > there


def _in_order(sort: Sort | None, keys: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    return [key.desc() if _is_descending(sort) else key.asc() for key in keys]


def _is_descending(sort: Sort | None) -> bool:
    return sort is None or sort in DESCENDING
