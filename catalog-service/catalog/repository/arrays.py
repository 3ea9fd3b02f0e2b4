"""Ids, quantities and texts as parameters: one array each, however many there are."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import BigInteger, TableValuedAlias, Text, bindparam, column, func
from sqlalchemy.dialects.postgresql import ARRAY


def as_array(ids: Iterable[int]) -> Any:
    """Return the ids as one parameter."""
    return bindparam(None, list(ids), type_=ARRAY(BigInteger))


def as_texts(values: Iterable[str]) -> Any:
    """Return the texts as one parameter."""
    return bindparam(None, list(values), type_=ARRAY(Text))


def any_of(ids: Iterable[int]) -> Any:
    """Return what an id is equal to if it is one of these."""
    return func.any(as_array(ids))


def as_table(quantities: Mapping[int, int]) -> TableValuedAlias:
    """Return a table of ids and quantities that a statement can join."""
    columns = column("id", BigInteger), column("quantity", BigInteger)
    arrays = as_array(quantities.keys()), as_array(quantities.values())
    return func.unnest(*arrays).table_valued(*columns).render_derived(name="units")
