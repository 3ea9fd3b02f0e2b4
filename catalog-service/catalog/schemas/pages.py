"""The content of the shop's pages as a reader without scripts gets it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jinja2.filters import do_urlencode

from catalog.category_tree import Category, Crumb
from catalog.domain import Product, to_price
from catalog.media import show_urls

SHOP = "Shopfleet"
MAX_DESCRIPTION = 160  # Characters that search engines show.
SCHEMA = "https://schema.org"


@dataclass(frozen=True)
class Link:
    """A link to another page of the shop."""

    address: str
    title: str


@dataclass(frozen=True)
class Page:
    """A page; `address` is its canonical address, "" if search engines are not to keep it.

    `facts` is the page's structured data (schema.org) as JSON-LD.
    """

    heading: str
    description: str = ""
    address: str = ""
    kind: str = "website"
    images: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    crumbs: list[Link] = field(default_factory=list)
    price: str = ""
    availability: str = ""
    text: str = ""
    links: list[Link] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Return the title of the document."""
        return f"{self.heading} · {SHOP}"


def address_product(product: Product) -> str:
    """Return the address of a product's page in the shop."""
    return f"/p/{product.slug}"


def address_category(path: str) -> str:
    """Return the address of a category's page in the shop."""
    return f"/c/{do_urlencode(path)}"


def describe_product(base: str, product: Product, crumbs: tuple[Crumb, ...], currency: str) -> Page:
    """Return the page of a product; `base` is the shop's own address."""
    address = base + address_product(product)
    lowest, highest = (
        str(to_price(amount, currency)) for amount in (product.unit_amount, product.highest_unit_amount)
    )
    description = _shorten(product.description) or f"{product.title} at {SHOP}."
    # Pictures of other hosts are not shown in the shop.
    images = [
        base + each
        for each in show_urls(product.images, product.media)
        if each.startswith("/") and not each.startswith("//")
    ]
    facts: dict[str, Any] = {
        "@type": "Product",
        "name": product.title,
        "description": product.description or product.title,
        "sku": product.sku,
        "url": address,
        "category": " > ".join(crumb.title for crumb in crumbs),
        "offers": {
            "priceCurrency": currency,
            "availability": f"{SCHEMA}/{'InStock' if product.stock else 'OutOfStock'}",
            "url": address,
            **(
                {"@type": "Offer", "price": lowest}
                if product.variant_count == 1
                else {
                    "@type": "AggregateOffer",
                    "lowPrice": lowest,
                    "highPrice": highest,
                    "offerCount": product.variant_count,
                }
            ),
        },
    }
    if product.brand is not None:
        facts["brand"] = {"@type": "Brand", "name": product.brand}
    if images:
        facts["image"] = images
    steps = _link(crumbs)
    return Page(
        heading=product.title,
        description=description,
        address=address,
        kind="product",
        images=images,
        facts=_join([facts, _trace(base, [*steps, Link(address_product(product), product.title)])]),
        crumbs=steps,
        price=f"{lowest} {currency}" if lowest == highest else f"{lowest} to {highest} {currency}",
        availability="In stock" if product.stock else "Sold out",
        text=product.description,
    )


def describe_category(
    base: str, category: Category, crumbs: tuple[Crumb, ...], products: Iterable[Product]
) -> Page:
    """Return the page of a category with links to the categories below and to its first products."""
    steps = _link(crumbs)
    return Page(
        heading=category.title,
        description=f"{category.title}: {category.count} products at {SHOP}.",
        address=base + address_category(category.path),
        facts=_join([_trace(base, steps)]),
        crumbs=steps[:-1],
        links=[
            *[Link(address_category(child.path), child.title) for child in category.children],
            *[Link(address_product(product), product.title) for product in products],
        ],
    )


def _link(crumbs: Iterable[Crumb]) -> list[Link]:
    return [Link(address_category(crumb.path), crumb.title) for crumb in crumbs]


def _trace(base: str, steps: list[Link]) -> dict[str, Any]:
    return {
        "@type": "BreadcrumbList",
        "itemListElement": [
            {"@type": "ListItem", "position": number, "name": step.title, "item": base + step.address}
            for number, step in enumerate(steps, 1)
        ],
    }


def _join(facts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"@context": SCHEMA, "@graph": facts}


def _shorten(text: str) -> str:
    words = " ".join(text.split())
    if len(words) <= MAX_DESCRIPTION:
        return words
    return words[: MAX_DESCRIPTION - 1].rpartition(" ")[0] + "…"
