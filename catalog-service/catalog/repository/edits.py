"""The fields that an admin set, which a copy of the source does not overwrite.

`edited` contains column names, 'stock' after a stock count, 'removed' after an admin removed the product, and
'withdrawn' after an admin withdrew the variant. It stays empty for the shop's own products, because no copy
changes them.
"""

from typing import Any

from sqlalchemy import Text, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.domain import FIRST_LOCAL_ID
from catalog.repository.arrays import as_texts
from catalog.tables import products

NONE = literal_column("'{}'::text[]", ARRAY(Text))


def mark_edited(*names: str) -> Any:
    """Return the product's edits with these names added."""
    return add_edits(as_texts(names))


def add_edits(names: Any) -> Any:
    """Return the product's edits with the names of an array added, without duplicates."""
    every = func.unnest(func.array_cat(products.c.edited, names)).table_valued("name")
    both = select(func.array_agg(every.c.name.distinct())).scalar_subquery()
    # A further variant has a number of the shop's own, but its product may be the source's.
    product = func.coalesce(products.c.parent_id, products.c.id)
    return case((product >= FIRST_LOCAL_ID, NONE), else_=func.coalesce(both, NONE))


def is_edited(name: str) -> Any:
    """Return whether an admin set this field."""
    return func.array_position(products.c.edited, name).is_not(None)


_edit = func.unnest(products.c.edited).table_valued("name").render_derived(name="edit")
# The edits that the source never takes back: an admin ended the sale.
ENDS_OF_SALE = func.coalesce(
    select(func.array_agg(_edit.c.name)).where(_edit.c.name.in_(["removed", "withdrawn"])).scalar_subquery(),
    NONE,
)
