"""The facets of options and of metadata, counted on demand."""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Integer,
    Numeric,
    Select,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from catalog.domain import METADATA_NUMBER, Count, Filter, ValueCounts
from catalog.repository.arrays import with_one_plan
from catalog.repository.search import MAX_SHAPES, limit_matching, parameters_of, shape_of
from catalog.tables import (
    HAS_FURTHER,
    HAS_METADATA,
    HAS_OPTIONS,
    HAS_PRODUCT_METADATA,
    IS_SOLD,
    products,
)

MAX_COUNTED = 2_000  # Matching products with options, or with a marked key, to count on demand.
MAX_OPTION_VALUES = 100  # Values of all options together.
MAX_WITH_METADATA = 5_000  # Matching products with metadata, of which few may have a marked key.
MAX_METADATA_VALUES = 50  # Values of each metadata key.
KEYS = with_one_plan(bindparam("keys", type_=ARRAY(Text)))


def count_options(connection: Connection, wanted: Filter) -> list[ValueCounts]:
    """Count the products with each value of each option, among at most MAX_COUNTED matching products.

    An option ignores its own filter, as every facet does.
    """
    counted: dict[str, list[Count]] = {}
    for name in (None, *(name for name, _values in wanted.options)):
        others = replace(wanted, options=tuple(each for each in wanted.options if each[0] != name))
        query = _build_option_query(shape_of(others), is_one=name is not None)
        values = {**parameters_of(others), "limit": MAX_COUNTED, "most": MAX_OPTION_VALUES}
        counted |= _group_by_name(
            connection.execute(query, values if name is None else {**values, "name": name})
        )
    return _sort_by_name(counted)


def _group_by_name(rows: Iterable[Any]) -> dict[str, list[Count]]:
    found: dict[str, list[Count]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(Count(row.value, row.total))
    return found


def _sort_by_name(counted: dict[str, list[Count]]) -> list[ValueCounts]:
    return [ValueCounts(name, values) for name, values in sorted(counted.items())]


@lru_cache(MAX_SHAPES)
def _build_option_query(shape: Filter, *, is_one: bool) -> Select[Any]:
    among = limit_matching(shape, [products.c.id], HAS_OPTIONS).subquery("among")
    variant = products.alias("variant")
    pair = func.jsonb_each_text(variant.c.option_values).table_valued("key", "value").render_derived("pair")
    total = func.count(among.c.id.distinct()).label("total")
    query = (
        select(pair.c.key.label("name"), pair.c.value, total)
        .select_from(among)
        .join(variant, or_(variant.c.id == among.c.id, variant.c.parent_id == among.c.id))
        .join(pair, true())
        .where(variant.c.withdrawn_at.is_(None))
        .group_by(pair.c.key, pair.c.value)
        .order_by(total.desc(), pair.c.value)
        .limit(bindparam("most", type_=Integer))
    )
    return query.where(pair.c.key == bindparam("name")) if is_one else query


def count_metadata(connection: Connection, wanted: Filter, marked: list[str]) -> list[ValueCounts] | None:
    """Count the products with each value of the marked keys, or return None without one.

    A key ignores its own filter, as every facet does.
    """
    if not marked:
        return None
    counted = _group_by_name(_read_metadata(connection, wanted, marked))
    for key, _values in wanted.metadata:
        others = replace(wanted, metadata=tuple(each for each in wanted.metadata if each[0] != key))
        counted |= _group_by_name(_read_metadata(connection, others, [key]))
    return _sort_by_name(counted)


def _read_metadata(connection: Connection, wanted: Filter, keys: list[str]) -> Iterable[Any]:
    limits = {"limit": MAX_WITH_METADATA, "counted": MAX_COUNTED, "most": MAX_METADATA_VALUES}
    values = {**parameters_of(wanted), **limits, "keys": keys}
    return connection.execute(_build_metadata_query(shape_of(wanted)), values)


def _select_described(shape: Filter) -> CompoundSelect[Any]:
    """Return a query of matching products with metadata that has one of the keys.

    The metadata is that of products, of their first variants (in the same row), and of further variants. Each
    part repeats the condition of its index, which is small where few rows have metadata.
    """
    identity = products.c.id.label("id")
    own = limit_matching(
        shape, [identity, products.c.product_metadata.label("metadata")], HAS_PRODUCT_METADATA
    )
    first = limit_matching(shape, [identity, products.c.metadata.label("metadata")], IS_SOLD, HAS_METADATA)
    variant = products.alias("variant")
    is_described = [variant.c.withdrawn_at.is_(None), variant.c.metadata != literal_column("'{}'", JSONB)]
    owners = select(variant.c.parent_id).where(variant.c.parent_id.is_not(None), *is_described)
    among = limit_matching(shape, [identity], HAS_FURTHER, products.c.id.in_(owners)).subquery("among")
    further = (
        select(among.c.id, variant.c.metadata)
        .select_from(among.join(variant, variant.c.parent_id == among.c.id))
        .where(*is_described)
    )
    parts = [own.subquery("own"), first.subquery("first")]
    if shape.among_several:
        parts.append(further.subquery("further"))
    counted = bindparam("counted", type_=Integer, literal_execute=True)
    described = [select(part).where(part.c.metadata.has_any(KEYS)).limit(counted) for part in parts]
    return union_all(*described)


@lru_cache(MAX_SHAPES)
def _build_metadata_query(shape: Filter) -> Select[Any]:
    """Return the query for the most frequent values of each of the keys in the parameter `keys`."""
    some = _select_described(shape).subquery("some")
    pair = (
        func.jsonb_each(some.c.metadata)
        .table_valued(column("key", Text), column("value", JSONB))
        .render_derived("pair")
    )
    is_number = func.jsonb_typeof(pair.c.value) == literal_column("'number'")
    # 40 and 40.0 are one number, which a filter finds with the text 40.
    number = cast(func.trim_scale(cast(pair.c.value, Numeric)), Text)
    plain = pair.c.value.op("#>>", return_type=Text())(literal_column("'{}'"))
    value = case((is_number, number), else_=plain)
    each = (
        select(some.c.id, pair.c.key.label("name"), value.label("value"), is_number.label("is_number"))
        .select_from(some.join(pair, true()))
        .where(pair.c.key == func.any(KEYS))
        .subquery("each")
    )
    total = func.count(each.c.id.distinct())
    place = func.row_number().over(partition_by=each.c.name, order_by=[total.desc(), each.c.value])
    ranked = (
        select(each.c.name, each.c.value, total.label("total"), place.label("place"))
        .where(or_(not_(each.c.is_number), each.c.value.op("~")(literal(f"^{METADATA_NUMBER}$"))))
        .group_by(each.c.name, each.c.value)
        .subquery("ranked")
    )
    return (
        select(ranked.c.name, ranked.c.value, ranked.c.total)
        .where(ranked.c.place <= bindparam("most", type_=Integer))
        .order_by(ranked.c.name, ranked.c.place)
    )
