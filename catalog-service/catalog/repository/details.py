"""SQL that reads one product for sale with its variants and its breadcrumbs."""

from dataclasses import fields, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
)

from catalog.category_tree import CategorySetting, describe_path
from catalog.domain import Product, ProductDetails, SourceCopy
from catalog.repository.categories import path_of
from catalog.repository.products import NAMES, OF_CHEAPEST, ROW, to_copy, to_product, with_source_copy
from catalog.repository.slugs import owner_of
from catalog.repository.variants import VARIANT, list_variants, to_options
from catalog.tables import FOR_SALE, categories, products
from catalog.variants import Variant, sort_variants

# With these, the row of a product with one variant has the variant, too. Both have a title of their own.
_SHARED = NAMES - {"title"}
_OWN = [column for column in VARIANT if column.name not in {*_SHARED, "product_title"}]
_COLUMNS = {
    **{field.name: field.name for field in fields(Variant)},
    **{column.name: f"own_{column.name}" for column in _OWN},
    "product_title": "title",
}


def _find(is_wanted: ColumnElement[bool]) -> Select[Any]:
    columns = [*ROW, products.c.options, products.c.product_metadata]
    own = [column.label(f"own_{column.name}") for column in _OWN]
    found = select(*columns, *own).where(FOR_SALE, is_wanted).subquery("found")
    slash: ColumnElement[str] = literal_column("'/'")
    # A slash in a name may give a title too many, which no breadcrumb has.
    is_above = func.starts_with(path_of(found.c.category).op("||")(slash), categories.c.path.op("||")(slash))
    titles = select(func.jsonb_object_agg(categories.c.path, categories.c.title)).where(
        categories.c.title.is_not(None), is_above
    )
    return with_source_copy(found).add_columns(titles.scalar_subquery().label("titles"))


BY_ID = _find(products.c.id == bindparam("id", type_=BigInteger))
BY_SLUG = _find(products.c.id == owner_of(bindparam("slug", type_=Text)))


def find_by_id(connection: Connection, product_id: int) -> tuple[ProductDetails | None, SourceCopy]:
    """Return the product, or None if it is not for sale, and the status of the copy."""
    return _read(connection, connection.execute(BY_ID, {"id": product_id}).one())


def find_by_slug(connection: Connection, slug: str) -> tuple[ProductDetails | None, SourceCopy]:
    """Return the product that has or had this slug, as `find_by_id` does."""
    return _read(connection, connection.execute(BY_SLUG, {"slug": slug}).one())


def _read(connection: Connection, row: Row[*tuple[Any, ...]]) -> tuple[ProductDetails | None, SourceCopy]:
    copy = to_copy(row)
    if row.id is None:
        return None, copy
    product = to_product(row)
    if row.further_variants or not product.variant_count:
        variants = list_variants(connection, product.id)
        product = _sum_up(product, variants)
    else:
        variants = [_to_only_variant(row)]
    settings = {path: CategorySetting(title) for path, title in (row.titles or {}).items()}
    options = to_options(row.options)
    details = ProductDetails(
        product,
        row.product_metadata,
        options,
        sort_variants(options, variants),
        describe_path(product.category, settings),
    )
    return details, copy


def _to_only_variant(row: Row[*tuple[Any, ...]]) -> Variant:
    return Variant(**{field: getattr(row, column) for field, column in _COLUMNS.items()})


def _sum_up(product: Product, variants: list[Variant]) -> Product:
    if not variants:
        return product
    cheapest = min(variants, key=lambda each: (each.unit_amount, each.id))
    of_cheapest = {name: getattr(cheapest, name) for name in OF_CHEAPEST}
    stock = sum(each.stock for each in variants)
    return replace(product, **of_cheapest, cheapest_id=cheapest.id, stock=stock)
