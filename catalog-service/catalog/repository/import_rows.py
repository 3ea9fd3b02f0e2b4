"""The temporary tables of an import: the rows of the file, and what they are for."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from catalog.tables import products

OF_PRODUCT = (
    "title",
    "brand",
    "category",
    "description",
    "rating",
    "images",
    "tax_class",
    "product_metadata",
)
# The fields of a product that other tables have.
BESIDE_PRODUCT = ("slug", "image_alts")
OF_VARIANT = (
    "sku",
    "unit_amount",
    "compare_at_amount",
    "weight_grams",
    "low_stock_threshold",
    "metadata",
)
DESCRIBED = (*OF_PRODUCT, *OF_VARIANT)

STAGED: list[tuple[str, Any]] = [
    ("place", Integer()),  # Unique; the variants of one line of JSON share its row.
    ("row", Integer()),
    ("given", ARRAY(Text)),
    ("group_key", Text()),  # The same for all rows of a product; NULL for a row without others.
    ("wanted_id", BigInteger()),
    ("wanted_version", BigInteger()),
    # Any slug that the product has or had; a new product gets it.
    ("wanted_slug", Text()),
    ("wanted_variant_id", BigInteger()),
    ("wanted_variant_version", BigInteger()),
    *[(name, products.c[name].type) for name in DESCRIBED],
    ("slug", Text()),
    ("image_alts", ARRAY(Text)),
    ("on_hand", BigInteger()),
    ("options", JSONB()),
    ("option_names", ARRAY(Text)),
    ("option_values", ARRAY(Text)),
]
temporary = MetaData()
staged = Table(
    "staged_products",
    temporary,
    *[Column(name, kind) for name, kind in STAGED],
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
# The same rows, each with its existing product and variant, or NULL for new ones.
matched = Table(
    "matched_products",
    temporary,
    *[Column(name, kind) for name, kind in STAGED],
    Column("product_id", BigInteger),
    Column("variant_id", BigInteger),
    Column("owners", BigInteger),
    # Whether the row has the id or a SKU of its product.
    Column("is_named", Boolean),
    # The product that has or had `slug`.
    Column("slug_owner", BigInteger),
    Column("slug_is_current", Boolean),
    # A new product, once it is added.
    Column("added_id", BigInteger),
    Column("is_planned", Boolean),
    Column("lead", Integer),
    Column("is_sold", Boolean),
    Column("problem_field", Text),
    Column("problem", Text),
)
