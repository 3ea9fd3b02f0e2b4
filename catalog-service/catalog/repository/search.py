"""Product search: filters, orders, words.

A page is one index scan (see migration 0003), or a sort if few products match; the planner chooses by its
statistics. No index is ordered by rank, so a search by relevance ranks a limited number of matches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Connection,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL, TSQUERY

from catalog.domain import Filter, NamedCategories, Product, Sort, SourceCopy
from catalog.repository.arrays import with_one_plan
from catalog.repository.categories import WANTED_KEYS
from catalog.repository.category_words import HAS_NAMES, find_named
from catalog.repository.products import ROW, to_copy, to_products, with_source_copy
from catalog.tables import (
    FOR_SALE,
    HAS_FURTHER,
    HIGHEST_AMOUNT,
    IN_STOCK,
    IS_FURTHER,
    IS_SOLD,
    LOWEST_AMOUNT,
    SORT_KEYS,
    products,
)

MAX_RANKED = 1_000  # Matches that a search by relevance ranks, in the order of the word index.
MAX_SORTED = 2_000  # Up to this many matches, a sort is cheaper than an index scan.
DESCENDING = {Sort.PRICE_DESCENDING, Sort.RATING, Sort.NEWEST}

MAX_SHAPES = 200  # Cached queries, one per shape of a filter.

BRANDS = bindparam("brands", type_=ARRAY(Text))
LOWEST, HIGHEST = (bindparam(name, type_=BigInteger) for name in ("lowest", "highest"))
VARIANT = products.alias("variant")
# A plan for any limit would assume a tenth of the table, so PostgreSQL would plan each page again.
LIMIT, RANKED = (bindparam(name, type_=Integer, literal_execute=True) for name in ("limit", "max_ranked"))

# The best index depends on the values, which a generic plan does not know.
PREPARE = select(
    select(products.c.id).where(FOR_SALE, HAS_FURTHER).exists().label("among_several"),
    HAS_NAMES.label("has_names"),
    func.set_config(literal_column("'plan_cache_mode'"), literal_column("'force_custom_plan'"), true()),
    func.set_config(literal_column("'enable_seqscan'"), bindparam("seqscan", type_=Text), true()),
)

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
    if wanted.words is not None and sort is not None and _has_few_matches(connection, wanted):
        # The planner assumes that words are spread evenly over every order. But titles that start with
        # "walnut" are at the end of the order by title, and an index scan would read almost every product.
        connection.execute(text("SET LOCAL enable_indexscan = off"))
    query = _build_page_query(shape_of(wanted), sort, is_first=after is None)
    position = {f"after_{number}": value for number, value in enumerate(after or ())}
    rows = connection.execute(
        query, {**parameters_of(wanted), **position, "limit": limit, "max_ranked": MAX_RANKED}
    ).all()
    found = [row for row in rows if row.id is not None]
    return Page(
        to_products(connection, found),
        [(row.id,) if sort is Sort.ID else (row.sort_key, row.id) for row in found],
        to_copy(rows[0]),
    )


def prepare_filter(connection: Connection, wanted: Filter) -> Filter:
    """Set the planner's options for a filter without stored counts, until the transaction ends.

    Return the filter with what the shop has, so that a shop without variants, or without categories that were
    moved or have titles, does not search for them.
    """
    # The planner knows no correlation between the table and an index by price, which is an expression. And
    # with words, the order of a sequential scan is not stable, because it may start anywhere in the table.
    has_seqscan = wanted.lowest is None and wanted.highest is None and wanted.words is None
    values = {"seqscan": "on" if has_seqscan else "off"}
    shop = connection.execute(PREPARE, values).one()
    named: tuple[NamedCategories, ...] = ()
    if wanted.words is not None and shop.has_names:
        named = find_named(connection, wanted.words, wanted.corrected)
    return replace(wanted, among_several=shop.among_several, named=named)


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
        options=tuple(("", ("",) * len(values)) for _name, values in wanted.options),
        metadata=tuple(("", ("",) * len(values)) for _name, values in wanted.metadata),
        among_several=wanted.among_several,
        named=(NamedCategories((), "", ""),) * len(wanted.named),
    )


def parameters_of(wanted: Filter) -> dict[str, Any]:
    """Return the parameters of a query with this filter."""
    values = {**vars(wanted), "categories": list(wanted.categories), "brands": list(wanted.brands)}
    del values["among_several"]
    for kind, named in (("option", values.pop("options")), ("metadata", values.pop("metadata"))):
        for number, (name, chosen) in enumerate(named):
            values |= {f"{kind}_{number}_{place}": {name: value} for place, value in enumerate(chosen)}
    for number, each in enumerate(values.pop("named")):
        values |= {f"named_{number}_{name}": value for name, value in vars(each).items()}
        values[f"named_{number}_keys"] = list(each.keys)
    return {name: value for name, value in values.items() if value not in (None, [])}


def select_matching(
    shape: Filter,
    columns: Sequence[Any],
    finish: Callable[[Select[Any]], Select[Any]] = lambda query: query,
    *,
    in_order: bool = False,
) -> Select[Any] | CompoundSelect[Any]:
    """Return a query of the products that match a filter of this shape.

    `finish` adds a limit to each part of it, and with `in_order` an order. `parameters_of` returns the
    parameters.
    """
    parts = [finish(select(*columns).where(*each)) for each in _alternatives(shape, in_order=in_order)]
    return parts[0] if len(parts) == 1 else union_all(*parts)


def limit_matching(
    shape: Filter, columns: Sequence[Any], *only: ColumnElement[bool]
) -> Select[Any] | CompoundSelect[Any]:
    """Return a query of at most `limit` products that match a filter of this shape and `only`."""
    limit = bindparam("limit", type_=Integer)
    return select_matching(shape, columns, lambda part: part.where(*only).limit(limit))


def _alternatives(shape: Filter, *, in_order: bool) -> list[list[ColumnElement[bool]]]:
    """Return the alternative conditions of a filter; no product meets two of them.

    A product with several variants matches a lowest price if its cheapest variant does, which an index finds,
    or else if another variant does, which few products need. Words without an order are found by their index.
    """
    found = _conditions(shape)
    if shape.options or (shape.lowest is None and shape.highest is None):
        return [found]
    if shape.highest is not None:
        found.append(LOWEST_AMOUNT <= HIGHEST)
    if shape.lowest is None:
        return [found]
    is_cheapest = LOWEST_AMOUNT >= LOWEST
    if not shape.among_several:
        return [[*found, is_cheapest]]
    dearer = [HAS_FURTHER, HIGHEST_AMOUNT >= LOWEST]
    if shape.highest is not None:
        # An OR of the two within one subquery takes twice as long to plan and to run.
        further = select(VARIANT.c.id).where(
            VARIANT.c.parent_id == products.c.id, *_variant_conditions(shape, VARIANT)
        )
        dearer.append(or_(and_(*_variant_conditions(shape, products)), further.exists()))
    if shape.words is not None and not in_order:
        return [[*found, or_(is_cheapest, and_(*dearer))]]
    if shape.highest is not None:
        # Without this, the planner would scan everything to find that an empty range has no products.
        found.append(LOWEST <= HIGHEST)
    return [[*found, is_cheapest], [*found, LOWEST_AMOUNT < LOWEST, *dearer]]


def _conditions(shape: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions of a filter, without those on the price."""
    found: list[ColumnElement[bool]] = [FOR_SALE]
    if shape.words is not None:
        words = _parse_words(shape)
        has_words = products.c.search.op("@@")(words)
        # The row of a further variant has its SKU, and no other words.
        further = select(products.c.parent_id).where(IS_FURTHER, IS_SOLD, has_words).correlate(None)
        found_by_sku = products.c.id == func.any(func.array(further.scalar_subquery()))
        matches = _match_with_names(shape, has_words)
        found.append(or_(*matches, found_by_sku) if shape.among_several else or_(*matches))
    if shape.categories:
        found.append(products.c.category == func.any(WANTED_KEYS))
    if shape.brands:
        found.append(products.c.brand == func.any(BRANDS))
    if shape.options:
        product = func.coalesce(VARIANT.c.parent_id, VARIANT.c.id)
        found.append(products.c.id.in_(select(product).where(*_variant_conditions(shape, VARIANT))))
    elif shape.in_stock is not None:
        found.append(literal_column(str(int(shape.in_stock))) == IN_STOCK)
    for number, (_name, values) in enumerate(shape.metadata):
        found.append(products.c.id.in_(_find_by_metadata(number, len(values))))
    return found


def _match_with_names(shape: Filter, has_words: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """Return the alternative conditions under which a product, with the names of its category, matches."""
    if not shape.named:
        return [has_words]
    named = [
        (_is_named(products.c.category, number), cast(bindparam(f"named_{number}_query"), TSQUERY()))
        for number in range(len(shape.named))
    ]
    return [
        and_(has_words, *[not_(is_in) for is_in, _query in named]),
        *[and_(products.c.search.op("@@")(query), is_in) for is_in, query in named],
    ]


def _is_named(category: ColumnElement[str], number: int) -> ColumnElement[bool]:
    return category == func.any(bindparam(f"named_{number}_keys", type_=ARRAY(Text)))


def _find_by_metadata(number: int, length: int) -> CompoundSelect[Any]:
    """Return a query of the products that have, or a variant of which has, one of the values of a key."""
    chosen = [bindparam(f"metadata_{number}_{place}", type_=JSONB) for place in range(length)]
    own = products.alias("own")
    none = literal_column("'{}'", JSONB)
    # Each condition repeats that of its index.
    return union_all(
        select(own.c.id).where(
            own.c.removed_at.is_(None),
            own.c.product_metadata != none,
            or_(*[own.c.product_metadata.contains(value) for value in chosen]),
        ),
        select(func.coalesce(VARIANT.c.parent_id, VARIANT.c.id)).where(
            VARIANT.c.withdrawn_at.is_(None),
            VARIANT.c.metadata != none,
            or_(*[VARIANT.c.metadata.contains(value) for value in chosen]),
        ),
    )


def _variant_conditions(shape: Filter, variant: FromClause) -> list[ColumnElement[bool]]:
    """Return the conditions on one variant: its options, its price, and its stock if it has options."""
    found: list[ColumnElement[bool]] = [variant.c.withdrawn_at.is_(None)]
    for number, (_name, values) in enumerate(shape.options):
        chosen = [bindparam(f"option_{number}_{place}", type_=JSONB) for place in range(len(values))]
        has_value = or_(*[variant.c.option_values.contains(value) for value in chosen])
        found += [variant.c.option_values.is_not(None), has_value]
    if shape.lowest is not None:
        found.append(variant.c.unit_amount >= LOWEST)
    if shape.highest is not None:
        found.append(variant.c.unit_amount <= HIGHEST)
    if shape.options and shape.in_stock is not None:
        found.append(variant.c.in_stock.is_(shape.in_stock))
    return found


@lru_cache(MAX_SHAPES)
def _build_page_query(shape: Filter, sort: Sort | None, *, is_first: bool) -> Select[Any]:
    """Return the query of a page; a page after the first also has parameters `after_0`, `after_1`."""
    if sort is None:
        query = _read_whole(_rank(shape, is_first))
    elif shape.words is not None:
        query = _read_whole(_walk(shape, sort, is_first, [products.c.id]))
    else:
        query = _walk(shape, sort, is_first, ROW)
    found = query.subquery("found")
    keys = [found.c.id] if sort is Sort.ID else [found.c.sort_key, found.c.id]
    return with_source_copy(found).order_by(*_in_order(sort, keys))


def _has_few_matches(connection: Connection, wanted: Filter) -> bool:
    number: int = connection.execute(_build_count_query(shape_of(wanted)), parameters_of(wanted)).scalar_one()
    return number <= MAX_SORTED


@lru_cache(MAX_SHAPES)
def _build_count_query(shape: Filter) -> Select[int]:
    some = select_matching(shape, [products.c.id], lambda part: part.limit(MAX_SORTED + 1))
    return select(func.count()).select_from(some.subquery())


def _walk(shape: Filter, sort: Sort, is_first: bool, row: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """Return a query that scans one index: of each requested brand or category, or of all products."""
    key = SORT_KEYS[sort.value.removeprefix("-")]
    keys = [key] if sort is Sort.ID else [key, products.c.id]
    bounds = [bindparam(f"after_{number}", type_=key.type) for number, key in enumerate(keys)]
    columns = [*row, key.label("sort_key")]

    def merge(query: FromClause) -> Select[Any]:
        found = [query.c.id] if sort is Sort.ID else [query.c.sort_key, query.c.id]
        return select(query).order_by(*_in_order(sort, found)).limit(LIMIT)

    if not shape.categories and not shape.brands:

        def finish(part: Select[Any]) -> Select[Any]:
            part = part if is_first else part.where(_is_after(sort, keys, bounds))
            return part.order_by(*_in_order(sort, keys)).limit(LIMIT)

        query = select_matching(shape, columns, finish, in_order=True)
        return query if isinstance(query, Select) else merge(query.subquery("part"))
    if shape.brands:
        scope, others = products.c.brand, replace(shape, brands=())
        values: ColumnElement[Any] = with_one_plan(BRANDS)
    else:
        scope, others = products.c.category, replace(shape, categories=())
        values = WANTED_KEYS
    # An index has the order within each value; the query merges one page of each. Equality is written as a
    # range and repeated in the ORDER BY, or the planner might prefer the index of all products, which takes
    # far longer if the products of a category are not spread evenly over it.
    each = func.unnest(values).table_valued("value").render_derived("each")
    value = each.c.value

    def finish_scope(part: Select[Any]) -> Select[Any]:
        part = part.where(scope >= value, scope <= value).correlate(each)
        if not is_first:
            part = part.where(_is_after(sort, [scope, *keys], [value, *bounds]))
        return part.order_by(*_in_order(sort, [scope, *keys])).limit(LIMIT)

    part = select_matching(others, columns, finish_scope, in_order=True).lateral("part")
    merged = [part.c.id] if sort is Sort.ID else [part.c.sort_key, part.c.id]
    return select(part).select_from(each.join(part, true())).order_by(*_in_order(sort, merged)).limit(LIMIT)


def _rank(shape: Filter, is_first: bool) -> Select[Any]:
    """Return a query of the ids of matching products by relevance."""
    matching = [products.c.id, products.c.category, products.c.search]
    some = select_matching(shape, matching, lambda part: part.limit(RANKED)).subquery("some")
    # 1 divides the rank by 1 + the logarithm of the document length.
    rank = func.ts_rank(
        _add_names(shape, some.c.category, some.c.search), _parse_words(shape), literal_column("1")
    )
    ranked = select(some.c.id, rank.label("sort_key")).subquery("ranked")
    keys = [ranked.c.sort_key, ranked.c.id]
    query = select(ranked).order_by(*_in_order(None, keys)).limit(LIMIT)
    if not is_first:
        # Ranks are single-precision; compared as a double, the bound would almost never equal one.
        bounds = [cast(bindparam("after_0"), REAL), bindparam("after_1")]
        query = query.where(_is_after(None, keys, bounds))
    return query


def _read_whole(page: Select[Any]) -> Select[Any]:
    """Return a query of the rows of a page of ids; to sort many rows whole would take longer."""
    best = page.subquery("best")
    return select(*ROW, best.c.sort_key).join_from(best, products, products.c.id == best.c.id)


def _add_names(shape: Filter, category: ColumnElement[str], search: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the words of a product and those of the query that its category's current names have."""
    if not shape.named:
        return search
    # Search gives the words of a category's key this weight, too.
    weight: ColumnElement[str] = literal_column("'B'")
    names = [
        func.setweight(func.name_words(bindparam(f"named_{number}_words", type_=Text)), weight)
        for number in range(len(shape.named))
    ]
    return case(
        *[(_is_named(category, number), search.op("||")(words)) for number, words in enumerate(names)],
        else_=search,
    )


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
