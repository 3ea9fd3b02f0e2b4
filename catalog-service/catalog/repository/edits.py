"""The fields that an admin set, which a copy of the source does not overwrite.

`edited` contains column names, 'stock' after a stock count, 'removed' after an admin removed the product, and
'withdrawn' after an admin withdrew the variant. It stays empty for the shop's own products, because no copy
changes them.
"""

from collections.abc import Set
from dataclasses import fields
from typing import Any

from sqlalchemy import Text, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.domain import FIRST_LOCAL_ID, Offer
from catalog.repository.arrays import as_texts
from catalog.tables import products

# The columns that a source controls, except the stock. No copy can overwrite anything else.
OF_VARIANTS = frozenset({"options", "variants"})
OFFERED = [field.name for field in fields(Offer) if field.name not in OF_VARIANTS]
DESCRIBED = [name for name in OFFERED if name not in {"id", "source_on_hand"}]
MARKED = {*DESCRIBED, "options", "stock", "removed", "withdrawn"}
# The columns of a source's variant, which a source of plain products does not have.
MARKED_OF_VARIANT = MARKED | {"compare_at_amount", "weight_grams", "option_values"}
NONE = literal_column("'{}'::text[]", ARRAY(Text))


def mark_edited(*names: str, markable: Set[str] = MARKED) -> Any:
    """Return the product's edits with those of these names added that a source controls."""
    return add_edits(as_texts(name for name in names if name in markable))


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
