"""SQL for the variants that the source delivers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, null, or_, select, update

from catalog.domain import OfferedVariant
from catalog.repository.arrays import IDS
from catalog.repository.edits import ENDS_OF_SALE
from catalog.repository.stock import OWNED, settle
from catalog.repository.variants import insert_variant, to_options
from catalog.tables import IS_SOLD, products
from catalog.variants import Option, OptionValues, make_title

# The columns that the source controls.
CONTROLLED = (
    "sku",
    "unit_amount",
    "source_on_hand",
    "option_values",
    "compare_at_amount",
    "weight_grams",
    "source_image",
)
ROW = [
    products.c.id,
    products.c.parent_id,
    products.c.source_sku,
    *[products.c[name] for name in CONTROLLED],
    products.c.variant_title,
    products.c.options,
    products.c.edited,
    IS_SOLD.label("is_sold"),
]


@dataclass(frozen=True)
class StoredVariant:
    """A variant of a source's product, for sale or withdrawn; `values` are those that the source controls.

    `source_sku` is the SKU with which the source delivers it, or None.
    """

    id: int
    source_sku: str | None
    is_sold: bool
    edited: frozenset[str]
    title: str
    values: Mapping[str, Any]

    @property
    def option_values(self) -> OptionValues | None:
        """Return the values of its options."""
        values: OptionValues | None = self.values["option_values"]
        return values


@dataclass(frozen=True)
class StoredVariants:
    """The variants of a source's product: that of its own row, and the others by id."""

    options: tuple[Option, ...]
    own: StoredVariant
    further: list[StoredVariant]


def read_stored(
    connection: Connection, product_ids: Iterable[int], offering: Iterable[int]
) -> dict[int, StoredVariants]:
    """Return the variants of those of the products that have or had variants of the source, by product.

    `offering` names the products for which the source offers variants now; they are returned in any case.
    """
    ids = list(product_ids)
    known = select(products.c.id).where(
        products.c.id == func.any(IDS),
        or_(products.c.source_sku.is_not(None), products.c.id.in_(list(offering))),
    )
    concerned = list(connection.execute(known, {"ids": ids}).scalars())
    if not concerned:
        return {}
    # Two conditions, for each of which there is an index.
    own = select(*ROW).where(products.c.id == func.any(IDS))
    further = select(*ROW).where(products.c.parent_id == func.any(IDS)).order_by(products.c.id)
    found = {
        row.id: StoredVariants(to_options(row.options), _to_stored(row), [])
        for row in connection.execute(own, {"ids": concerned})
    }
    for row in connection.execute(further, {"ids": concerned}):
        found[row.parent_id].further.append(_to_stored(row))
    return found


def add_offered(
    connection: Connection, product_id: int, options: Sequence[Option], variant: OfferedVariant
) -> None:
    """Add a variant of the source to a product."""
    values = asdict(variant)
    on_hand = values.pop("source_on_hand")
    insert_variant(connection, product_id, options, {**values, "source_sku": variant.sku}, on_hand)


def clear_values(connection: Connection, ids: Iterable[int]) -> None:
    """Clear the option values of variants that get others, which may be those of another of them."""
    connection.execute(
        update(products).where(products.c.id == func.any(IDS)).values(option_values=null()),
        {"ids": list(ids)},
    )


def store_source_options(connection: Connection, product_id: int, options: Sequence[Option]) -> None:
    """Store the options of a product as the source describes them."""
    stored = [asdict(option) for option in options]
    connection.execute(update(products).where(products.c.id == product_id).values(options=stored))


def follow_offered(
    connection: Connection,
    variant_id: int,
    options: Sequence[Option],
    changes: Mapping[str, Any],
    *,
    is_new: bool = False,
) -> None:
    """Change columns of a variant as the source describes it; its stock changes by the difference."""
    values = dict(changes)
    if "option_values" in values:
        values["variant_title"] = make_title(options, values["option_values"])
        values["option_values"] = values["option_values"] or null()
    if values.pop("discards_edits", False):
        values["edited"] = ENDS_OF_SALE
    if "is_sold" in values:
        values["withdrawn_at"] = null() if values.pop("is_sold") else func.now()
    # A new stock count keeps the version, so that a PATCH based on the earlier read still succeeds.
    if values.keys() - {"source_on_hand"} and not is_new:
        values |= {"version": products.c.version + 1, "updated_at": func.now()}
    if "source_on_hand" in values:
        supplied = values["source_on_hand"]
        owned = OWNED + supplied - func.coalesce(products.c.source_on_hand, supplied)
        values |= settle(owned, products.c.reserved)
    connection.execute(update(products).where(products.c.id == variant_id).values(**values))


def _to_stored(row: Row[Any]) -> StoredVariant:
    values = {name: getattr(row, name) for name in CONTROLLED}
    return StoredVariant(
        row.id, row.source_sku, row.is_sold, frozenset(row.edited), row.variant_title, values
    )
