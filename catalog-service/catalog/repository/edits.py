"""The fields that an admin set, which a copy of the source does not overwrite.

`edited` contains column names, 'stock' after a stock count, and 'removed' after an admin removed the product.
It stays empty for the shop's own products, because no copy changes them.
"""

from dataclasses import fields
from typing import Any

from sqlalchemy import Text, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.domain import FIRST_LOCAL_ID, Offer
from catalog.repository.arrays import as_texts
from catalog.tables import products

# The columns that a source controls, except the stock. No copy can overwrite anything else.
DESCRIBED = [field.name for field in fields(Offer) if field.name not in {"id", "source_on_hand"}]
MARKED = {*DESCRIBED, "stock", "removed"}
NONE = literal_column("'{}'::text[]", ARRAY(Text))


def mark_edited(*names: str) -> Any:
    """Return the product's edits with these names added."""
    return add_edits(as_texts(name for name in names if name in MARKED))


def add_edits(names: Any) -> Any:
    """Return the product's edits with the names of an array added, without duplicates."""
    every = func.unnest(func.array_cat(products.c.edited, names)).table_valued("name")
    both = select(func.array_agg(every.c.name.distinct())).scalar_subquery()
    return case((products.c.id >= FIRST_LOCAL_ID, NONE), else_=func.coalesce(both, NONE))


def is_edited(name: str) -> Any:
    """Return whether an admin set this field."""
    return func.array_position(products.c.edited, name).is_not(None)
