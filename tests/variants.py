"""Products with variants, made through the API."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.stacks import Shopper

NAMES = ("Size", "Colour")


@dataclass(frozen=True)
class Shirt:
    """A product with two options, and its variants by title: `M / Blue`."""

    id: int
    title: str
    slug: str
    variants: Mapping[str, Mapping[str, Any]]

    def id_of(self, title: str) -> int:
        """Return the number of a variant."""
        return int(self.variants[title]["id"])


def add_shirt(
    admin: Shopper,
    stock: Mapping[str, int],
    *,
    amounts: Mapping[str, int] | None = None,
    names: tuple[str, str] = NAMES,
    **fields: Any,
) -> Shirt:
    """Add a product that no other test changes.

    `stock` has the units of each variant, and `amounts` the prices that are not 25 dollars.
    """
    word = secrets.token_hex(4)
    values = {title: dict(zip(names, title.split(" / "), strict=True)) for title in stock}
    options = [
        {"name": name, "values": list(dict.fromkeys(each[name] for each in values.values()))}
        for name in names
    ]
    variants = [
        {
            "sku": f"SHIRT-{word}-{place}",
            "options": values[title],
            "unit_amount": (amounts or {}).get(title, 2500),
            "on_hand": units,
        }
        for place, (title, units) in enumerate(stock.items())
    ]
    body = {"title": f"Test shirt {word}", **fields, "options": options, "variants": variants}
    added = admin.post("/products", json=body)
    assert added.status_code == 201, added.text
    # With a query, the gateway does not cache the product.
    details = admin.get(f"/products/{added.json()['id']}", params={"at": word}).json()
    variants_by_title = {each["title"]: each for each in details["variants"]}
    return Shirt(details["id"], details["title"], details["slug"], variants_by_title)


def read_variant_stock(admin: Shopper, product_id: int, variant_id: int) -> dict[str, Any]:
    """Return the units of a variant on hand and reserved."""
    answer = admin.get(f"/products/{product_id}/variants/{variant_id}/stock")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
