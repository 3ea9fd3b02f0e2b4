"""The public bodies of products, as dictionaries that `schemas.products` documents.

Nothing in them comes from a caller, and to validate the 30 products of a list takes as long as their query.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from catalog.domain import Count, Facets, Product, ProductDetails, ValueCounts, to_price
from catalog.media import StoredImage, find_media, show_urls
from catalog.variants import Variant

Body = dict[str, Any]


def describe_product(product: Product, currency: str) -> Body:
    """Return the body of a product, a `ProductOut`."""
    return {
        "id": product.id,
        "sku": product.sku,
        "title": product.title,
        "brand": product.brand,
        "category": product.category,
        "price": float(to_price(product.unit_amount, currency)),
        "unit_amount": product.unit_amount,
        "currency": currency,
        "description": product.description,
        "rating": None if product.rating is None else float(product.rating),
        "stock": product.stock,
        "images": show_urls(product.images, product.media),
        "media": [describe_image(each) for each in find_media(product.images, product.media)],
        "version": product.version,
        "updated_at": product.updated_at,
        "variant_count": product.variant_count,
        "highest_unit_amount": product.highest_unit_amount,
        "compare_at_amount": product.crossed_out_amount,
        "lowest_amount_30d": product.lowest_amount_30d,
        "tax_class": product.tax_class,
        "slug": product.slug,
        "variant_id": product.variant_id,
    }


def describe_in_list(product: Product, currency: str) -> Body:
    """Return the body of a product in a list, which has the first image only."""
    body = describe_product(product, currency)
    body["media"] = [each for each in body["media"][:1] if each["urls"]["1200"] == body["images"][0]]
    return body


def describe_image(image: StoredImage) -> Body:
    """Return the body of a stored image, an `ImageOut`."""
    return {
        "id": image.id,
        "alt": image.alt,
        "width": image.width,
        "height": image.height,
        "colour": image.colour,
        "urls": image.urls,
    }


def describe_variant(variant: Variant, currency: str) -> Body:
    """Return the body of a variant, a `VariantOut`."""
    return {
        "id": variant.id,
        "sku": variant.sku,
        "title": variant.title,
        "options": dict(variant.option_values or {}),
        "price": float(to_price(variant.unit_amount, currency)),
        "unit_amount": variant.unit_amount,
        "compare_at_amount": variant.crossed_out_amount,
        "lowest_amount_30d": variant.lowest_amount_30d,
        "stock": variant.stock,
        "weight_grams": variant.weight_grams,
        "image_id": variant.image_id,
        "image": variant.image,
        "metadata": dict(variant.metadata),
        "version": variant.version,
    }


def describe_details(details: ProductDetails, currency: str) -> Body:
    """Return the body of a product with its variants and its breadcrumbs, a `ProductDetailsOut`."""
    body = describe_product(details.product, currency)
    urls = {image["id"]: image["urls"]["1200"] for image in body["media"]}
    variants = [describe_variant(variant, currency) for variant in details.variants]
    for variant in variants:
        variant["image"] = urls.get(variant["image_id"], variant["image"])
    return {
        **body,
        "metadata": dict(details.metadata),
        "options": [{"name": option.name, "values": list(option.values)} for option in details.options],
        "variants": variants,
        "breadcrumbs": [{"path": crumb.path, "title": crumb.title} for crumb in details.breadcrumbs],
    }


def describe_facets(facets: Facets, currency: str) -> Body:
    """Return the body of facets, a `FacetsOut`; `metadata` is absent unless an admin has marked a key."""
    lowest, highest = (
        None if amount is None else float(to_price(amount, currency))
        for amount in (facets.lowest, facets.highest)
    )
    body = {
        "categories": [
            {"name": count.name, "count": count.count, "title": count.title or count.name}
            for count in facets.categories
        ],
        "brands": _describe_counts(facets.brands),
        "price": {"min": lowest, "max": highest},
        "options": _describe_values(facets.options),
        "exact": facets.exact,
    }
    return body if facets.metadata is None else {**body, "metadata": _describe_values(facets.metadata)}


def describe_page(
    products: Iterable[Product],
    currency: str,
    *,
    following: str | None,
    corrected: str | None,
    facets: Facets | None,
) -> Body:
    """Return the body of a page, a `ProductPage`; `corrected` and `facets` are absent if they are None."""
    optional: Mapping[str, Any] = {
        "corrected": corrected,
        "facets": None if facets is None else describe_facets(facets, currency),
    }
    return {
        "data": [describe_in_list(product, currency) for product in products],
        "next": following,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _describe_values(counted: Iterable[ValueCounts]) -> list[Body]:
    return [{"name": each.name, "values": _describe_counts(each.values)} for each in counted]


def _describe_counts(counts: Iterable[Count]) -> list[Body]:
    return [{"name": count.name, "count": count.count} for count in counts]
