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
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import UserDefinedType

from shared.outbox import make_endpoints, make_outbox

metadata = MetaData()
MOMENT = DateTime(timezone=True)


class TransactionId(UserDefinedType[str]):
    """A transaction id of 64 bits, as text: only PostgreSQL compares it."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return the type's name in SQL."""
        return "xid8"


orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("customer", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("email", Text),
    Column("payment_method", Text),
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
    Column("coupon", Text),
    Column("shipping_method", Text),
    Column("adjustments", JSONB, nullable=False, server_default=text("'[]'")),
    Column("tax_amount", BigInteger),
    # Null until the stock is held, and in an order of a release before 0008: the amount of its items.
    Column("amount", BigInteger),
)
CONTACT_WORDS: ColumnElement[Any] = func.contact_words(
    orders.c.email, orders.c.shipping_address, orders.c.billing_address
)
Index("orders_number", orders.c.number, unique=True)
Index("orders_contact", CONTACT_WORDS, postgresql_using="gin")
Index("orders_email", func.lower(orders.c.email), postgresql_where=orders.c.email.is_not(None))
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
    Column("discount_amount", BigInteger, nullable=False, server_default=text("0")),
    # In basis points; null without a tax.
    Column("tax_rate", Integer),
    Column("tax_amount", BigInteger, nullable=False, server_default=text("0")),
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
    # Null in an event of a release before 0009.
    Column("transaction_id", TransactionId, server_default=func.pg_current_xact_id()),
)
Index("order_events_of_order", order_events.c.order_id, order_events.c.id)
Index(
    "order_events_by_transaction",
    order_events.c.transaction_id,
    order_events.c.id,
    postgresql_where=order_events.c.transaction_id.is_not(None),
)

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
    Column("coupon", Text),
    Column("delivery", JSONB(none_as_null=True)),
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

shipping_methods = Table(
    "shipping_methods",
    metadata,
    Column("code", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("countries", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("regions", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("postal_codes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("price", BigInteger),
    Column("prices", JSONB, nullable=False, server_default=text("'[]'")),
    Column("free_from", BigInteger),
    Column("tax_class", Text),
    Column("excluded_tax_classes", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("delivery_time", Text),
    Column("position", Integer, nullable=False, server_default=text("0")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
)

tax_rates = Table(
    "tax_rates",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("country", Text, nullable=False),
    Column("region", Text),
    Column("tax_class", Text),
    Column("rate", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
)
Index(
    "tax_rates_place",
    func.coalesce(tax_rates.c.region, tax_rates.c.country),
    func.coalesce(tax_rates.c.tax_class, literal_column("''")),
    unique=True,
)

# One row: the version of the shipping methods and tax rates, which triggers renew.
pricing = Table(
    "pricing",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("version", Uuid, nullable=False),
)

coupons = Table(
    "coupons",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("code", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("percent", Integer),
    Column("amount", BigInteger),
    Column("free_shipping", Boolean, nullable=False, server_default=text("false")),
    Column("minimum", BigInteger),
    Column("products", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("categories", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("starts", MOMENT),
    Column("ends", MOMENT),
    Column("use_limit", BigInteger),
    Column("limit_per_customer", BigInteger),
    Column("first_order_only", Boolean, nullable=False, server_default=text("false")),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    Column("uses", BigInteger, nullable=False, server_default=text("0")),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
    Column("deleted_at", MOMENT),
)
Index("coupons_key", coupons.c.key, unique=True, postgresql_where=coupons.c.deleted_at.is_(None))

# How often each customer used a coupon.
coupon_customers = Table(
    "coupon_customers",
    metadata,
    Column("coupon_id", ForeignKey("coupons.id"), primary_key=True),
    Column("customer", Text, primary_key=True),
    Column("uses", BigInteger, nullable=False),
)

# The orders that used a coupon. A trigger returns the use of an order that is cancelled.
coupon_uses = Table(
    "coupon_uses",
    metadata,
    Column("order_id", ForeignKey("orders.id"), primary_key=True),
    Column("coupon_id", ForeignKey("coupons.id"), nullable=False),
    Column("customer", Text, nullable=False),
    Column("used_at", MOMENT, nullable=False, server_default=func.now()),
    Column("returned_at", MOMENT),
)
Index("coupon_uses_of_coupon", coupon_uses.c.coupon_id, coupon_uses.c.order_id)

order_links = Table(
    "order_links",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("order_id", ForeignKey("orders.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
    Column("expires_at", MOMENT, nullable=False),
)
Index("order_links_order", order_links.c.order_id)
Index("order_links_expires", order_links.c.expires_at)

# Programs that learn of events. The outbox has an endpoint of the same id for each.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("url", Text, nullable=False),
    Column("events", ARRAY(Text), nullable=False),
    Column("description", Text),
    Column("secret", Text, nullable=False),
    Column("old_secret", Text),
    Column("old_until", MOMENT),
    Column("created_by", Text, nullable=False),
    Column("created_at", MOMENT, nullable=False, server_default=func.now()),
    Column("updated_at", MOMENT, nullable=False, server_default=func.now()),
)

outbox = make_outbox(metadata)
Index(
    "outbox_of_webhook",
    outbox.c.endpoint,
    outbox.c.id,
    postgresql_where=outbox.c.channel == literal_column("'webhook'"),
)
outbox_endpoints = make_endpoints(metadata)

jobs = Table(
    "jobs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", MOMENT, nullable=False, server_default=func.now()),
)
