"""Products as JSON Lines."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from catalog.domain import MAX_ID, Product
from catalog.schemas.admin import ProductFields
from catalog.schemas.fields import NOT_SET, OnHand
from shared.schemas import Integer, example

Id = Annotated[Integer, Field(ge=1, le=MAX_ID)]


class ImportRow(ProductFields):
    """A line of an import: the product with this `id`, else the product with this `sku`, else a new product.

    Absent fields stay unchanged. With a `version`, the product must still have that version. A new product
    needs a title and a price.
    """

    model_config = ConfigDict(
        json_schema_extra=example(
            {
                "sku": "KIT-0301",
                "title": "Beech Rolling Pin",
                "category": "kitchen",
                "unit_amount": 2450,
                "on_hand": 40,
            }
        )
    )

    id: Id = NOT_SET
    version: Id = NOT_SET
    on_hand: OnHand = NOT_SET
    # Must be the shop's currency.
    currency: str = NOT_SET
    # Exports contain the available stock. Imports ignore it, because sales change it; they set `on_hand`.
    stock: Integer = NOT_SET


def to_line(product: Product, currency: str) -> dict[str, Any]:
    """Return the export line of a product, which an import accepts."""
    return {
        "id": product.id,
        "version": product.version,
        "sku": product.sku,
        "title": product.title,
        "brand": product.brand,
        "category": product.category,
        # A file that is imported after a sale must not make its price permanent.
        "unit_amount": product.unit_amount if product.regular_amount is None else product.regular_amount,
        "currency": currency,
        "description": product.description,
        "rating": None if product.rating is None else float(product.rating),
        "images": product.images,
        "stock": product.stock,
    }
