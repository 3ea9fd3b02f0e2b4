"""The tables; the migrations have their constraints."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
MOMENT = DateTime(timezone=True)

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("email", Text),
    Column("payment_method", Text, nullable=False),
    Column("shipping_address", JSONB, nullable=False),
    Column("currency", Text),
    Column("items_amount", BigInteger),
    Column("amount_refunded", BigInteger, nullable=False, server_default=text("0")),
    Column("payment_id", Uuid),
    Column("payment_status", Text),
    Column("refusal", JSONB(none_as_null=True)),
    Column("request_id", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
    Column("updated_at", MOMENT, nullable=False, server_default=func.now()),
    Column("cart_version", BigInteger),
    # Null in an order of a release before 0007.
    Column("number", BigInteger, server_default=text("nextval('order_numbers')")),
    Column("billing_address", JSONB(none_as_null=True)),
    Column("note", Text),
    Column("expected_amount", BigInteger),
)
CONTACT_WORDS: ColumnElement[Any] = func.contact_words(
    orders.c.email, orders.c.shipping_address, orders.c.billing_address
)
Index("orders_number", orders.c.number, unique=True)
Index("orders_contact", CONTACT_WORDS, postgresql_using="gin")
Index("orders_of_customer", orders.c.customer, orders.c.id.desc())
Index("orders_of_status", orders.c.status, orders.c.id.desc())

order_work = Table(
    "order_work",
    metadata,
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("next_step", Text, nullable=False),
    Column("lease_token", Uuid),
    Column("lease_until", MOMENT),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", MOMENT, nullable=False, server_default=func.now()),
    Column("deadline", MOMENT),
    Column("request_id", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("network", Text),
)
Index("order_work_due", order_work.c.next_attempt_at)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), primary_key=True),
    Column("product_id", BigInteger, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("sku", Text),
    Column("title", Text),
    Column("unit_amount", BigInteger),
    Column("parent_id", BigInteger),
    Column("only_variant", Boolean),
)

order_events = Table(
    "order_events",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("time", MOMENT, nullable=False, server_default=func.clock_timestamp()),
    Column("kind", Text, nullable=False),
    Column("from_status", Text),
    Column("to_status", Text),
    Column("actor", Text, nullable=False),
    Column("detail", Text),
)
Index("order_events_of_order", order_events.c.order_id, order_events.c.id)

refunds = Table(
    "refunds",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", ForeignKey("orders.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("restock", Boolean, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    Column("error", Text),
    Column("actor", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
    Column("updated_at", MOMENT, nullable=False, server_default=func.now()),
)
Index("refunds_of_order", refunds.c.order_id)
Index(
    "refunds_pending",
    refunds.c.order_id,
    unique=True,
    postgresql_where=refunds.c.status == "pending",
)

cart_items = Table(
    "cart_items",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("product_id", BigInteger, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    Column("added_at", MOMENT, nullable=False, server_default=func.now()),
    Column("unit_amount", BigInteger),
    Column("is_guest", Boolean, nullable=False, server_default=text("false")),
    Column("updated_at", MOMENT, nullable=False, server_default=func.now()),
    Column("parent_id", BigInteger),
)
Index("cart_items_of_guests", cart_items.c.updated_at, postgresql_where=cart_items.c.is_guest)

addresses = Table(
    "addresses",
    metadata,
    Column("customer", Text, primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column("address", JSONB, nullable=False),
    Column("saved_at", MOMENT, nullable=False, server_default=func.now()),
)

carts = Table(
    "carts",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("ordered_version", BigInteger),
    Column("order_id", Uuid),
    Column("updated_at", MOMENT, nullable=False, server_default=func.now()),
)
Index("carts_by_age", carts.c.updated_at)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column(
        "order_id",
        ForeignKey("orders.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"),
        nullable=False,
    ),
    Column("is_accepted", Boolean, nullable=False, server_default=text("false")),
    Column("status", Integer),
    Column("content_type", Text),
    Column("body", LargeBinary),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
)
Index("idempotency_keys_of_order", idempotency_keys.c.order_id)
Index("idempotency_keys_by_age", idempotency_keys.c.created_at)

jobs = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", MOMENT, nullable=False, server_default=func.now()),
)
