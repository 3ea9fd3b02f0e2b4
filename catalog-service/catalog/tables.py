"""catalog-service's tables, as its migrations make them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

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
    Column("images", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("removed_at", DateTime(timezone=True)),
)
Index("products_for_sale", products.c.id, postgresql_where=products.c.removed_at.is_(None))

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
)
