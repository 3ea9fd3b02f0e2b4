"""Ids and texts as one array parameter each, so that statements do not depend on their number."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY

IDS = bindparam("ids", type_=ARRAY(BigInteger))


def as_texts(values: Iterable[str]) -> Any:
    """Return the texts as one array parameter."""
    return bindparam(None, list(values), type_=ARRAY(Text))
