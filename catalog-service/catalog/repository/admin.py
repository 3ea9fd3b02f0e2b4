"""SQL for products that an admin writes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from catalog.domain import ManagedProduct
from catalog.repository.arrays import as_texts
from catalog.repository.edits import NONE, mark_edited
from catalog.repository.products import PRODUCT, summarize_variants, to_products
from catalog.tables import FOR_SALE, local_product_ids, products
from catalog.variants import Option, make_title

MANAGED = [
    *PRODUCT,
    products.c.on_hand,
    products.c.reserved,
    products.c.edited,
    products.c.product_metadata,
    products.c.weight_grams,
    products.c.low_stock_threshold,
]


def insert_product(
    connection: Connection, values: Mapping[str, Any], options: Sequence[Option], on_hand: int
) -> int:
    """Add a product of the shop's own with its first variant; the default SKU is derived from its id."""
    number: int = connection.execute(select(local_product_ids.next_value())).scalar_one()
    row = {"sku": f"P-{number}", **values, "on_hand": on_hand, "source_on_hand": on_hand}
    if options:
        row["options"] = [asdict(option) for option in options]
        row["variant_title"] = make_title(options, values["option_values"])
    connection.execute(insert(products).values(id=number, **row))
    return number


def find_managed(connection: Connection, product_id: int, *, lock: bool = False) -> ManagedProduct | None:
    """Return the product for an admin, optionally locked, or None if it is not for sale."""
    query = select(*MANAGED).where(FOR_SALE, products.c.id == product_id)
    row = connection.execute(query.with_for_update(key_share=True) if lock else query).first()
    if row is None:
        return None
    several = [product_id] if row.further_variants else []
    counts = summarize_variants(connection, several).get(product_id, row)
    return ManagedProduct(
        to_products(connection, [row])[0],
        counts.on_hand,
        counts.reserved,
        tuple(sorted(row.edited)),
        row.product_metadata,
        row.weight_grams,
        row.low_stock_threshold,
        row.further_variants,
    )


def update_product(connection: Connection, product_id: int, changes: Mapping[str, Any]) -> None:
    """Change these columns and mark them as edited, so that copies of the source do not overwrite them."""
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(
            **changes,
            edited=mark_edited(*changes),
            version=products.c.version + 1,
            updated_at=func.now(),
        )
    )


def clear_edits(connection: Connection, product_id: int, names: Iterable[str]) -> None:
    """Unmark these fields as edited, so that the source controls them again."""
    edit = func.unnest(products.c.edited).table_valued("name")
    others = select(func.array_agg(edit.c.name)).where(edit.c.name != func.all(as_texts(names)))
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(edited=func.coalesce(others.scalar_subquery(), NONE))
    )


def remove_product(connection: Connection, product_id: int) -> bool:
    """Remove the product permanently; return whether it was for sale."""
    removed = connection.execute(
        update(products)
        .where(FOR_SALE, products.c.id == product_id)
        .values(
            removed_at=func.now(),
            edited=mark_edited("removed"),
            version=products.c.version + 1,
            updated_at=func.now(),
        )
    )
    return removed.rowcount == 1
