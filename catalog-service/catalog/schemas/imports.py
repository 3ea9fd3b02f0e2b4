"""Products as lines of a file."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from catalog.domain import LARGEST_ID, Product
from catalog.schemas.admin import NOT_SET, OnHand, ProductFields
from shared.schemas import Integer, example

Id = Annotated[Integer, Field(ge=1, le=LARGEST_ID)]


class ImportRow(ProductFields):
    """A line of an import: the product with this `id`, else the one with this `sku`, else a new one.

    What is not in the line stays as it is. With a `version`, the product must still be at that one. A new
    product needs a title and a price.
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
    # The shop's own.
    currency: str = NOT_SET
    # What an export says could be sold then; not heeded, since it changes by itself. A count is `on_hand`.
    stock: Integer = NOT_SET


def to_line(product: Product, currency: str) -> dict[str, Any]:
    """Return the line of an export, which an import takes back."""
    return {
        "id": product.id,
        "version": product.version,
        "sku": product.sku,
        "title": product.title,
        "brand": product.brand,
        "category": product.category,
        "unit_amount": product.unit_amount,
        "currency": currency,
        "description": product.description,
        "rating": None if product.rating is None else float(product.rating),
        "images": product.images,
        "stock": product.stock,
    }
