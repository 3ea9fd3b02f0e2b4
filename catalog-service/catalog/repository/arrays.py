"""Ids and texts as one array parameter each, so that statements do not depend on their number."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

IDS = bindparam("ids", type_=ARRAY(BigInteger))


def with_one_plan(array: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an array parameter as a subquery, whose length the planner does not know.

    From the length of a parameter, it expects fewer rows than on average, and therefore plans every call.
    """
    return func.array(select(func.unnest(array)).scalar_subquery(), type_=array.type)


def as_texts(values: Iterable[str]) -> Any:
    """Return the texts as one array parameter."""
    return bindparam(None, list(values), type_=ARRAY(Text))
