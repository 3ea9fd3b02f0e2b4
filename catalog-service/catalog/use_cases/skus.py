"""The assignment of SKUs, which are unique among the variants for sale."""

from collections.abc import Iterable, Mapping
from typing import Any

from catalog.errors import ImportRunning, SkuTaken
from catalog.repository import skus as repository
from shared.database import Connection


def claim_skus(
    connection: Connection, rows: Iterable[Mapping[str, Any]], *, exclude: int | None = None
) -> None:
    """Claim the SKUs in these rows for the variant `exclude` or new ones; raise SkuTaken or ImportRunning."""
    skus = [row["sku"] for row in rows if "sku" in row]
    if not repository.lock_skus(connection):
        raise ImportRunning
    for place, sku in enumerate(skus):
        owner = repository.find_sku(connection, sku, exclude=exclude)
        if owner is not None:
            raise SkuTaken(product_id=owner)
        if sku in skus[:place]:
            raise SkuTaken("Two of the variants have the same SKU.")
