"""SQL for variants: the product's own row, and the rows of its further variants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    insert,
    null,
    or_,
    select,
    text,
    update,
)

from catalog.domain import SourceCopy
from catalog.repository.arrays import IDS
from catalog.repository.edits import MARKED_OF_VARIANT, mark_edited
from catalog.repository.products import to_copy, with_source_copy
from catalog.repository.stock import lock_rows
from catalog.tables import FOR_SALE, category_keys, local_product_ids, products
from catalog.variants import Option, OptionValues, PricedVariant, Variant, make_title

_parent = products.alias("parent")
_COMPUTED: dict[str, ColumnElement[Any]] = {
    "product_title": _parent.c.title.label("product_title"),
    "title": products.c.variant_title.label("title"),
    "image": products.c.source_image.label("image"),
}
# The columns of a Variant, in the order of its fields.
VARIANT: list[ColumnElement[Any]] = [
    _COMPUTED[field.name] if field.name in _COMPUTED else products.c[field.name] for field in fields(Variant)
]
# The variants for sale: of a product for sale, and not withdrawn.
READ: Select[Any] = (
    select(*VARIANT)
    .join_from(products, _parent, _parent.c.id == func.coalesce(products.c.parent_id, products.c.id))
    .where(_parent.c.removed_at.is_(None), products.c.withdrawn_at.is_(None))
)
READ_SOME = READ.where(products.c.id == func.any(IDS)).order_by(products.c.id)
# What decides about taxes and coupons follows the columns of the variant.
_PATH = select(category_keys.c.path).where(category_keys.c.key == _parent.c.category).scalar_subquery()
PRICED = [
    _parent.c.tax_class.label("product_tax_class"),
    func.coalesce(_PATH, _parent.c.category).label("product_category"),
    and_(_parent.c.further_variants == 0, products.c.parent_id.is_(None)).label("is_only_variant"),
]
READ_PRICES = with_source_copy(READ_SOME.add_columns(*PRICED).subquery("found"), is_product=False).order_by(
    "id"
)
LIST = READ.where(
    or_(products.c.id == bindparam("product"), products.c.parent_id == bindparam("product")),
    # The number of a further variant is not a product's.
    _parent.c.id == bindparam("product"),
)


def read_prices(connection: Connection, ids: Iterable[int]) -> tuple[list[PricedVariant], SourceCopy]:
    """Return those of these variants that are for sale, by id, and the status of the copy."""
    rows = connection.execute(READ_PRICES, {"ids": list(ids)}).all()
    found = [
        PricedVariant(to_variant(row), row.product_tax_class, row.product_category, row.is_only_variant)
        for row in rows
        if row.id is not None
    ]
    return found, to_copy(rows[0])


def lock_variants(connection: Connection, ids: Iterable[int]) -> list[Variant]:
    """Lock these variants until the transaction ends; return those that are for sale, by id."""
    ids = list(ids)
    lock_rows(connection, ids)
    return [to_variant(row) for row in connection.execute(READ_SOME, {"ids": ids})]


def list_variants(connection: Connection, product_id: int) -> list[Variant]:
    """Return the variants of a product, by id."""
    rows = connection.execute(LIST.order_by(products.c.id), {"product": product_id})
    return [to_variant(row) for row in rows]


def read_options(connection: Connection, product_id: int) -> tuple[Option, ...]:
    """Return the options of a product."""
    stored = connection.execute(select(products.c.options).where(products.c.id == product_id)).scalar()
    return to_options(stored or ())


def lock_product(connection: Connection, product_id: int) -> Row[*tuple[Any, ...]] | None:
    """Lock a product for sale until the transaction ends; return its `options` and `version`, or None.

    Changes to its variants lock it first, so that they happen one after the other.
    """
    query = select(products.c.options, products.c.version).where(FOR_SALE, products.c.id == product_id)
    return connection.execute(query.with_for_update(key_share=True)).first()


def list_ambiguous(connection: Connection, ids: Iterable[int]) -> list[int]:
    """Return the numbers that do not stand for an only variant: of variants, or of products with several."""
    is_ambiguous = or_(products.c.further_variants > 0, products.c.parent_id.is_not(None))
    query = select(products.c.id).where(products.c.id == func.any(IDS), is_ambiguous).order_by(products.c.id)
    return list(connection.execute(query, {"ids": list(ids)}).scalars())


def insert_variant(
    connection: Connection, parent_id: int, options: Sequence[Option], values: Mapping[str, Any], on_hand: int
) -> int:
    """Add a further variant to a product; return its id, from which the default SKU is derived."""
    number: int = connection.execute(select(local_product_ids.next_value())).scalar_one()
    row = {"sku": f"P-{number}", **values, "on_hand": on_hand, "source_on_hand": on_hand}
    # The texts are the product's, so that a search finds the product's row only.
    texts = {"title": "", "category": "", "description": ""}
    given = values.get("option_values")
    connection.execute(
        insert(products).values(
            id=number,
            parent_id=parent_id,
            removed_at=text("'infinity'"),
            variant_title=make_title(options, given),
            **texts,
            **_store(row),
        )
    )
    return number


def update_variant(connection: Connection, variant_id: int, changes: Mapping[str, Any]) -> None:
    """Change these columns of a variant, and mark those that a source controls as edited."""
    connection.execute(
        update(products)
        .where(products.c.id == variant_id)
        .values(
            **_store(changes),
            edited=mark_edited(*changes, markable=MARKED_OF_VARIANT),
            version=products.c.version + 1,
            updated_at=func.now(),
        )
    )


def withdraw_variant(connection: Connection, variant_id: int) -> None:
    """Stop the sale of a variant; existing orders and reservations keep its row."""
    connection.execute(
        update(products)
        .where(products.c.id == variant_id)
        .values(
            withdrawn_at=func.now(),
            edited=mark_edited("withdrawn"),
            version=products.c.version + 1,
            updated_at=func.now(),
        )
    )


def touch_product(connection: Connection, product_id: int) -> None:
    """Give the product a new version, because its variants have changed."""
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(version=products.c.version + 1, updated_at=func.now())
    )


def store_options(
    connection: Connection,
    product_id: int,
    options: Sequence[Option],
    values: Mapping[int, OptionValues | None],
) -> None:
    """Store the options of a product, and the values and titles of these variants."""
    connection.execute(
        update(products)
        .where(products.c.id == product_id)
        .values(options=[asdict(option) for option in options], edited=mark_edited("options"))
    )
    if values:
        # Two variants may swap their values, which the unique index would refuse row by row.
        cleared = update(products).where(products.c.id == func.any(IDS)).values(option_values=null())
        connection.execute(cleared, {"ids": list(values)})
    for number, given in sorted(values.items()):
        update_variant(
            connection, number, {"option_values": given, "variant_title": make_title(options, given)}
        )


def to_variant(row: Row[*tuple[Any, ...]]) -> Variant:
    """Return the variant of a row that begins with the columns in VARIANT."""
    return Variant(*row[: len(VARIANT)])


def to_options(stored: Iterable[Mapping[str, Any]]) -> tuple[Option, ...]:
    """Return the options of the column `options`."""
    return tuple(Option(each["name"], tuple(each["values"])) for each in stored)


def _store(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by column; without options, `option_values` is NULL and not JSON's null."""
    if values.get("option_values", "") in (None, {}):
        return {**values, "option_values": null()}
    return dict(values)
