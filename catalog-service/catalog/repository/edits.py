"""What an admin set, and a copy of the source therefore leaves alone.

`edited` holds names of columns, 'stock' if the units were counted here, and 'removed' if the product was
taken off sale here. The shop's own products have no source, and nothing to protect from it.
"""

from typing import Any

from sqlalchemy import Text, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.domain import FIRST_LOCAL_ID
from catalog.repository.arrays import as_texts
from catalog.tables import products

NONE = literal_column("'{}'::text[]", ARRAY(Text))


def mark_edited(*names: str) -> Any:
    """Return the product's edits with these among them."""
    return add_edits(as_texts(names))


def add_edits(names: Any) -> Any:
    """Return the product's edits with those of an array among them, each once."""
    every = func.unnest(func.array_cat(products.c.edited, names)).table_valued("name")
    both = select(func.array_agg(every.c.name.distinct())).scalar_subquery()
    return case((products.c.id >= FIRST_LOCAL_ID, NONE), else_=func.coalesce(both, NONE))


def is_edited(name: str) -> Any:
    """Return whether an admin set this."""
    return func.array_position(products.c.edited, name).is_not(None)
