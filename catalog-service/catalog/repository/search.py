"""Product search: filters, orders, words.

A page is one index scan (see migration 0003), or a sort if few products match; the planner chooses by its
statistics. No index is ordered by rank, so a search by relevance ranks a limited number of matches.
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
from catalog.repository.products import ROW, to_copy, to_product, with_source_copy
from catalog.tables import FOR_SALE, SORT_KEYS, products

MAX_RANKED = 1_000  # Matches that a search by relevance ranks, in the order of the word index.
MAX_SORTED = 2_000  # Up to this many matches, a sort is cheaper than an index scan.
DESCENDING = {Sort.PRICE_DESCENDING, Sort.RATING, Sort.NEWEST}

MAX_SHAPES = 200  # Cached queries, one per shape of a filter.

CATEGORIES, BRANDS = (bindparam(name, type_=ARRAY(Text)) for name in ("categories", "brands"))
LOWEST, HIGHEST = (bindparam(name, type_=BigInteger) for name in ("lowest", "highest"))
LIMIT, RANKED = (bindparam(name, type_=Integer) for name in ("limit", "max_ranked"))

# The position of a product in an order: its sort key (unless that is the id) and its id.
Position = tuple[Any, ...]


@dataclass(frozen=True)
class Page:
    """A page of products, each with its position, and the status of the copy when they were read."""

    products: list[Product]
    positions: list[Position]
    copy: SourceCopy


def read_page(
    connection: Connection, wanted: Filter, sort: Sort | None, *, after: Position | None, limit: int
) -> Page:
    """Return up to `limit` matching products after a position, in this order; None means by relevance."""
    if not wanted.has_stored_counts:
        # The best index depends on the values, which a generic plan does not know.
        connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
    if wanted.words is not None:
        # A sequential scan may start anywhere in the table, so its order is not stable.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        if sort is not None and _has_few_matches(connection, wanted):
            # The planner assumes that words are spread evenly over every order. But titles that start with
            # "walnut" are at the end of the order by title, and an index scan would read almost every
            # product.
            connection.execute(text("SET LOCAL enable_indexscan = off"))
    query = _build_page_query(shape_of(wanted), sort, is_first=after is None)
    position = {f"after_{number}": value for number, value in enumerate(after or ())}
    rows = connection.execute(
        query, {**parameters_of(wanted), **position, "limit": limit, "max_ranked": MAX_RANKED}
    ).all()
    found = [row for row in rows if row.id is not None]
    return Page(
        [to_product(row) for row in found],
        [(row.id,) if sort is Sort.ID else (row.sort_key, row.id) for row in found],
        to_copy(rows[0]),
    )


def shape_of(wanted: Filter) -> Filter:
    """Return the filter with placeholder values; all filters of the same shape share one query."""
    return Filter(
        words=None if wanted.words is None else "",
        corrected=None if wanted.corrected is None else "",
        categories=("",) if wanted.categories else (),
        brands=("",) if wanted.brands else (),
        lowest=None if wanted.lowest is None else 0,
        highest=None if wanted.highest is None else 0,
        in_stock=wanted.in_stock,
    )


def parameters_of(wanted: Filter) -> dict[str, Any]:
    """Return the parameters of a query with this filter."""
    values = {**vars(wanted), "categories": list(wanted.categories), "brands": list(wanted.brands)}
    return {name: value for name, value in values.items() if value not in (None, [])}


def conditions(shape: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter of this shape; `parameters_of` returns their parameters."""
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
        # Without this, the planner would scan everything to find that an empty range has no products.
        found.append(LOWEST <= HIGHEST)
    if shape.in_stock is not None:
        found.append(products.c.in_stock.is_(shape.in_stock))
    return found


@lru_cache(MAX_SHAPES)
def _build_page_query(shape: Filter, sort: Sort | None, *, is_first: bool) -> Select[Any]:
    """Return the query of a page; a page after the first also has parameters `after_0`, `after_1`."""
    found = (_rank(shape, is_first) if sort is None else _walk(shape, sort, is_first)).subquery("found")
    keys = [found.c.id] if sort is Sort.ID else [found.c.sort_key, found.c.id]
    return with_source_copy(found).order_by(*_in_order(sort, keys))


def _has_few_matches(connection: Connection, wanted: Filter) -> bool:
    number: int = connection.execute(_build_count_query(shape_of(wanted)), parameters_of(wanted)).scalar_one()
    return number <= MAX_SORTED


@lru_cache(MAX_SHAPES)
def _build_count_query(shape: Filter) -> Select[int]:
    some = select(products.c.id).where(*conditions(shape)).limit(MAX_SORTED + 1).subquery()
    return select(func.count()).select_from(some)


def _walk(shape: Filter, sort: Sort, is_first: bool) -> Select[Any]:
    """Return a query that scans one index: of each requested brand or category, or of all products."""
    key = SORT_KEYS[sort.value.removeprefix("-")]
    keys = [key] if sort is Sort.ID else [key, products.c.id]
    bounds = [bindparam(f"after_{number}", type_=key.type) for number, key in enumerate(keys)]
    query = select(*ROW, key.label("sort_key")).limit(LIMIT)
    if not shape.categories and not shape.brands:
        query = query.where(*conditions(shape))
        query = query if is_first else query.where(_is_after(sort, keys, bounds))
        return query.order_by(*_in_order(sort, keys))
    if shape.brands:
        scope, values, others = products.c.brand, BRANDS, replace(shape, brands=())
    else:
        scope, values, others = products.c.category, CATEGORIES, replace(shape, categories=())
    # An index has the order within each value; the query merges one page of each. Equality is written as a
    # range and repeated in the ORDER BY, or the planner might prefer the index of all products, which takes
    # far longer if the products of a category are not spread evenly over it.
    each = func.unnest(values).table_valued("value").render_derived("each")
    value = each.c.value
    query = query.where(*conditions(others), scope >= value, scope <= value)
    if not is_first:
        query = query.where(_is_after(sort, [scope, *keys], [value, *bounds]))
    part = query.order_by(*_in_order(sort, [scope, *keys])).lateral("part")
    merged = [part.c.id] if sort is Sort.ID else [part.c.sort_key, part.c.id]
    return select(part).select_from(each.join(part, true())).order_by(*_in_order(sort, merged)).limit(LIMIT)


def _rank(shape: Filter, is_first: bool) -> Select[Any]:
    """Return a query of matching products by relevance."""
    some = select(*ROW, products.c.search).where(*conditions(shape)).limit(RANKED).subquery("some")
    # 1 divides the rank by 1 + the logarithm of the document length.
    rank = func.ts_rank(some.c.search, _parse_words(shape), literal_column("1"))
    columns = [column for column in some.c if column.name != "search"]
    ranked = select(*columns, rank.label("sort_key")).subquery("ranked")
    keys = [ranked.c.sort_key, ranked.c.id]
    query = select(ranked).order_by(*_in_order(None, keys)).limit(LIMIT)
    if is_first:
        return query
    # Ranks are single-precision; compared as a double, the bound would almost never equal one.
    return query.where(_is_after(None, keys, [cast(bindparam("after_0"), REAL), bindparam("after_1")]))


def _parse_words(shape: Filter) -> ColumnElement[Any]:
    """Return the words, in web search syntax, as a text search query."""
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
