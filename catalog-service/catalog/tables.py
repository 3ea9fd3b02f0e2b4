"""The tables of catalog-service, as its migrations create them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    cast,
    func,
    literal_column,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from shared.outbox import make_endpoints, make_outbox

metadata = MetaData()

products = Table(
    "products",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("brand", Text),
    Column("category", Text, nullable=False),
    Column("unit_amount", BigInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("rating", Numeric(3, 2)),
    Column("on_hand", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False, server_default=text("0")),
    Column("source_on_hand", BigInteger),
    Column("edited", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("shortfall", BigInteger, nullable=False, server_default=text("0")),
    Column("images", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    # The product that this row is a further variant of; NULL for the product and its first variant.
    Column("parent_id", BigInteger, ForeignKey("products.id")),
    Column("withdrawn_at", DateTime(timezone=True)),
    # The SKU with which the source delivers a variant; NULL for one of an admin, and without variants.
    Column("source_sku", Text),
    # The image of the variant, which the source delivers.
    Column("source_image", Text),
    Column("option_values", JSONB),
    Column("variant_title", Text, nullable=False, server_default=text("''")),
    Column("compare_at_amount", BigInteger),
    Column("weight_grams", BigInteger),
    Column("low_stock_threshold", BigInteger),
    # Whether the available units are at or below the threshold, which a trigger writes.
    Column("is_low", Boolean, nullable=False, server_default=text("false")),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("options", JSONB, nullable=False, server_default=text("'[]'")),
    Column("product_metadata", JSONB, nullable=False, server_default=text("'{}'")),
    Column("tax_class", Text),
    # A summary of the further variants for sale, which a trigger writes.
    Column("further_variants", Integer, nullable=False, server_default=text("0")),
    Column("further_lowest", BigInteger),
    Column("further_highest", BigInteger),
    Column("further_in_stock", Boolean, nullable=False, server_default=text("false")),
    # The running sale, and the prices without it; a trigger keeps them and the lowest price.
    Column("sale_amount", BigInteger),
    Column("regular_amount", BigInteger),
    Column("regular_compare_at_amount", BigInteger),
    Column("lowest_amount_30d", BigInteger),
    # The stored images of a product by their URL in `images`, and the image of a variant.
    Column("media", JSONB, nullable=False, server_default=text("'{}'")),
    Column(
        "image_id",
        BigInteger,
        ForeignKey("product_images.id", ondelete="SET NULL", name="products_image_id_fkey", use_alter=True),
    ),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("removed_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("in_stock", Boolean, Computed("on_hand > reserved"), nullable=False),
    Column(
        "search",
        TSVECTOR,
        Computed("search_text(title, sku, brand, category, description)"),
        nullable=False,
    ),
)
Index("products_sku", products.c.sku, postgresql_where=products.c.removed_at.is_(None))
local_product_ids = Sequence("local_product_ids", metadata=metadata)
FOR_SALE = products.c.removed_at.is_(None)
Index("products_for_sale", products.c.id, postgresql_where=FOR_SALE)
Index("products_search", products.c.search, postgresql_using="gin", postgresql_where=FOR_SALE)
Index("products_in_stock", products.c.in_stock, products.c.id, postgresql_where=FOR_SALE)

# What a product in a list has over all its variants. The indexes have the same expressions.
_OWN_AMOUNT = (products.c.unit_amount, products.c.withdrawn_at)
LOWEST_AMOUNT = func.lowest_amount(*_OWN_AMOUNT, products.c.further_lowest, type_=BigInteger)
HIGHEST_AMOUNT = func.highest_amount(*_OWN_AMOUNT, products.c.further_highest, type_=BigInteger)
# 1 or 0, because the planner has no statistics of a boolean expression.
IN_STOCK = cast(
    or_(and_(products.c.in_stock, products.c.withdrawn_at.is_(None)), products.c.further_in_stock), Integer
)
IS_SOLD = products.c.withdrawn_at.is_(None)
IS_FURTHER = products.c.parent_id.is_not(None)
HAS_FURTHER = products.c.further_variants > literal_column("0")
Index("products_available", IN_STOCK, products.c.id, postgresql_where=FOR_SALE)
Index("products_ranges", LOWEST_AMOUNT, products.c.id, postgresql_where=and_(FOR_SALE, HAS_FURTHER))
HAS_OPTIONS = products.c.options != literal_column("'[]'", JSONB)
Index(
    "products_with_options",
    products.c.category,
    products.c.id,
    postgresql_where=and_(FOR_SALE, HAS_OPTIONS),
)
Index(
    "products_variants",
    products.c.parent_id,
    products.c.unit_amount,
    products.c.id,
    postgresql_where=IS_FURTHER,
)
Index("products_variants_sku", products.c.sku, postgresql_where=and_(IS_FURTHER, IS_SOLD))
Index(
    "products_variants_search",
    products.c.search,
    postgresql_using="gin",
    postgresql_where=and_(IS_FURTHER, IS_SOLD),
)
PRODUCT_ID: ColumnElement[Any] = func.coalesce(products.c.parent_id, products.c.id)
IS_LOW = and_(products.c.is_low, IS_SOLD)
Index("products_low_stock", PRODUCT_ID, products.c.id, postgresql_where=IS_LOW)
_HAS_VALUES = and_(products.c.option_values.is_not(None), IS_SOLD)
Index(
    "products_options",
    products.c.option_values,
    postgresql_using="gin",
    postgresql_ops={"option_values": "jsonb_path_ops"},
    postgresql_where=_HAS_VALUES,
)
Index(
    "products_option_values",
    PRODUCT_ID,
    products.c.option_values,
    unique=True,
    postgresql_where=_HAS_VALUES,
)

HAS_METADATA = products.c.metadata != literal_column("'{}'", JSONB)
HAS_PRODUCT_METADATA = products.c.product_metadata != literal_column("'{}'", JSONB)
for _column, _where in (
    (products.c.product_metadata, and_(FOR_SALE, HAS_PRODUCT_METADATA)),
    (products.c.metadata, and_(IS_SOLD, HAS_METADATA)),
):
    Index(
        f"products_{_column.name}",
        _column,
        postgresql_using="gin",
        postgresql_ops={_column.name: "jsonb_path_ops"},
        postgresql_where=_where,
    )
    # A scan of a whole index of the kind above costs far more.
    Index(
        f"products_with_{_column.name}",
        products.c.category,
        products.c.id,
        postgresql_where=_where,
    )

# The sort keys of product lists; the id breaks ties.
SORT_KEYS: dict[str, ColumnElement[Any]] = {
    "id": products.c.id,
    "price": LOWEST_AMOUNT,
    "title": func.left(func.lower(products.c.title), literal_column("100"), type_=Text),
    "rating": func.coalesce(products.c.rating, literal_column("-1"), type_=Numeric),
    "newest": products.c.created_at,
}
# The previous release sorts by the first variant's price.
_INDEXED = {**SORT_KEYS, "price": products.c.unit_amount, "lowest": LOWEST_AMOUNT}
for _name, _key in _INDEXED.items():
    _order = [_key] if _name == "id" else [_key, products.c.id]
    if _name != "id":
        Index(f"products_{_name}", *_order, postgresql_where=FOR_SALE)
    for _scope in (products.c.category, products.c.brand):
        Index(f"products_{_scope.name}_{_name}", _scope, *_order, postgresql_where=FOR_SALE)

sales = Table(
    "sales",
    metadata,
    Column("product_id", BigInteger, ForeignKey("products.id"), primary_key=True),
    Column("unit_amount", BigInteger, nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True)),
    Column("has_started", Boolean, nullable=False, server_default=text("false")),
    Column(
        "due_at", DateTime(timezone=True), Computed("CASE WHEN has_started THEN ends_at ELSE starts_at END")
    ),
)
Index("sales_due", sales.c.due_at)

prices = Table(
    "prices",
    metadata,
    Column("product_id", BigInteger, primary_key=True),
    Column("valid_from", DateTime(timezone=True), primary_key=True),
    Column("unit_amount", BigInteger, nullable=False),
)
Index("prices_valid_from", prices.c.valid_from)

facet_counts = Table(
    "facet_counts",
    metadata,
    # '' means all categories or all brands.
    Column("category", Text, primary_key=True),
    Column("brand", Text, primary_key=True),
    Column("products", BigInteger, nullable=False),
    Column("lowest", BigInteger, nullable=False),
    Column("highest", BigInteger, nullable=False),
)
Index(
    "facet_counts_brands",
    facet_counts.c.category,
    facet_counts.c.products,
    postgresql_where=facet_counts.c.brand != literal_column("''"),
)
Index(
    "facet_counts_categories",
    facet_counts.c.brand,
    facet_counts.c.products,
    postgresql_where=facet_counts.c.category != literal_column("''"),
)

# `products.category` is a key that never changes; its path does when an admin moves the category.
category_keys = Table(
    "category_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("key_words", TSVECTOR, Computed("name_words(key)")),
    Column("path_words", TSVECTOR, Computed("CASE WHEN key <> path THEN name_words(path) END")),
)
IS_MOVED = category_keys.c.key != category_keys.c.path
Index("category_keys_path", category_keys.c.path)
Index("category_keys_moved", category_keys.c.key, postgresql_where=IS_MOVED)

categories = Table(
    "categories",
    metadata,
    Column("path", Text, primary_key=True),
    Column("title", Text),
    Column("position", Integer, nullable=False, server_default=text("0")),
    Column("title_words", TSVECTOR, Computed("name_words(title)")),
)

former_categories = Table(
    "former_categories",
    metadata,
    Column("former", Text, primary_key=True),
    Column("path", Text, nullable=False),
)

# A trigger gives each new product a slug.
product_slugs = Table(
    "product_slugs",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("product_id", BigInteger, ForeignKey(products.c.id, ondelete="CASCADE"), nullable=False),
    Column("is_current", Boolean, nullable=False, server_default=text("true")),
)
Index(
    "product_slugs_current",
    product_slugs.c.product_id,
    unique=True,
    postgresql_include=["slug"],
    postgresql_where=product_slugs.c.is_current,
)

search_words = Table(
    "search_words",
    metadata,
    Column("word", Text, primary_key=True),
    Column("products", BigInteger, nullable=False),
    # The most frequent spelling in the catalogue; NULL if a replica of the previous release learned the word.
    Column("shown", Text),
    Column("stem", Text, Computed("(tsvector_to_array(to_tsvector('english', word)))[1]")),
    Column("trigrams", ARRAY(Text), Computed("word_trigrams(word)"), nullable=False),
)
Index("search_words_stem", search_words.c.stem)
Index("search_words_trigrams", search_words.c.trigrams, postgresql_using="gin")

metadata_keys = Table(
    "metadata_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("marked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

catalogue_changes = Table(
    "catalogue_changes",
    metadata,
    Column("noted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

recount = Table(
    "recount",
    metadata,
    Column("id", Integer, primary_key=True, server_default=text("1")),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

source_copy = Table(
    "source_copy",
    metadata,
    Column("id", Integer, primary_key=True, server_default=text("1")),
    Column("source", Text),
    Column("copied_at", DateTime(timezone=True)),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("error_status", Integer),
    Column("error_detail", Text),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("leased_until", DateTime(timezone=True)),
    Column("requested_at", DateTime(timezone=True)),
    Column("overwrite", Boolean, nullable=False, server_default=text("false")),
    Column("allow_removals", Boolean, nullable=False, server_default=text("false")),
)

source_pages = Table(
    "source_pages",
    metadata,
    Column("skip", BigInteger, primary_key=True, autoincrement=False),
    Column("fence", BigInteger, nullable=False),
    Column("page_limit", Integer, nullable=False),
    Column("etag", Text),
    Column("last_modified", Text),
    Column("total", BigInteger),
    Column("length", Integer, nullable=False),
    Column("offers", JSONB, nullable=False),
    Column("rejected", JSONB, nullable=False),
    # NULL if a replica of the previous release read the page.
    Column("adjusted", JSONB),
)

source_syncs = Table(
    "source_syncs",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("overwrite", Boolean, nullable=False),
    Column("allow_removals", Boolean, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("finished_at", DateTime(timezone=True)),
    *[
        Column(name, Integer, nullable=False, server_default=text("0"))
        for name in (
            "pages",
            "unchanged_pages",
            "added",
            "changed",
            "removed",
            "rejected_count",
            "adjusted_count",
        )
    ],
    Column("rejected", JSONB, nullable=False, server_default=text("'[]'")),
    Column("adjusted", JSONB, nullable=False, server_default=text("'[]'")),
    Column("detail", Text),
)

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("customer", Text),
    Column("currency", Text),
    Column("state", Text, nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index(
    "reservations_to_lapse",
    reservations.c.expires_at,
    postgresql_where=reservations.c.state == text("'held'"),
)

reservation_lines = Table(
    "reservation_lines",
    metadata,
    Column("order_id", Uuid, ForeignKey(reservations.c.order_id), primary_key=True),
    Column("product_id", BigInteger, ForeignKey(products.c.id), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("unit_amount", BigInteger, nullable=False),
    # The product of a further variant; NULL for a first variant.
    Column("parent_id", BigInteger),
    # What decides about taxes, shipping and coupons, at the same moment as the price.
    Column("tax_class", Text),
    Column("weight_grams", BigInteger),
    Column("category", Text),
)


image_files = Table(
    "image_files",
    metadata,
    # Of the file as it was uploaded.
    Column("hash", Text, primary_key=True),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("colour", Text, nullable=False),
    # WebP of at most 480 and 1200 pixels.
    Column("small", LargeBinary, nullable=False),
    Column("large", LargeBinary, nullable=False),
    Column("used_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

product_images = Table(
    "product_images",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("product_id", BigInteger, ForeignKey(products.c.id), nullable=False),
    # The entry in the product's `images`: of the product source, or the URL of the file.
    Column("url", Text, nullable=False),
    # NULL until the image has been fetched from the source.
    Column("hash", Text, ForeignKey(image_files.c.hash)),
    Column("alt", Text, nullable=False, server_default=text("''")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # When to fetch the image; NULL if it is stored, or if it was refused for the reason in `detail`.
    Column("due_at", DateTime(timezone=True)),
    Column("detail", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("product_id", "url"),
)
Index("product_images_due", product_images.c.due_at, postgresql_where=product_images.c.due_at.is_not(None))
Index("product_images_url", product_images.c.url)
Index("product_images_hash", product_images.c.hash)
Index("products_image", products.c.image_id, postgresql_where=products.c.image_id.is_not(None))

outbox = make_outbox(metadata)
outbox_endpoints = make_endpoints(metadata)
