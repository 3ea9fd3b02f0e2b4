"""The tables for SQLAlchemy; the migrations define their constraints."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()
MOMENT = DateTime(timezone=True)


def _id() -> Column[UUID]:
    return Column("id", Uuid, primary_key=True, server_default=func.uuidv7())


def _amount(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _now(name: str) -> Column[Any]:
    return Column(name, MOMENT, nullable=False, server_default=func.now())


payments = Table(
    "payments",
    metadata,
    _id(),
    Column("order_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("customer", Text),
    Column("amount", BigInteger),
    Column("currency", Text),
    Column("provider", Text),
    Column("payment_method", Text),
    Column("decline_code", Text),
    _amount("amount_captured"),
    _amount("amount_refunded"),
    _now("created_at"),
    Column("next_action", JSONB(none_as_null=True)),
    Column("provider_reference", Text),
    Column("is_closing", Boolean, nullable=False, server_default=false()),
    _amount("amount_refunding"),
    Column("look_at", MOMENT),
    _now("updated_at"),
    UniqueConstraint("order_id", name="payments_order_id"),
)
Index("payments_customer", payments.c.customer, payments.c.id)
Index("payments_due", payments.c.look_at, postgresql_where=payments.c.look_at.is_not(None))
Index(
    "payments_provider_reference",
    payments.c.provider_reference,
    unique=True,
    postgresql_where=payments.c.provider_reference.is_not(None),
)

refunds = Table(
    "refunds",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("payment_id", Uuid, ForeignKey("payments.id"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("decline_code", Text),
    _now("created_at"),
    _now("updated_at"),
)
Index("refunds_of_payment", refunds.c.payment_id)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    _id(),
    Column("payment_id", Uuid, ForeignKey("payments.id"), nullable=False),
    Column("movement", Text, nullable=False),
    Column("currency", Text, nullable=False),
    _now("created_at"),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    UniqueConstraint("payment_id", "movement", name="ledger_entries_movement"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("claimed_until", MOMENT, nullable=False),
    Column("status", Integer),
    Column("content_type", Text),
    Column("body", LargeBinary),
    _now("created_at"),
)

provider_events = Table(
    "provider_events", metadata, Column("id", Text, primary_key=True), _now("received_at")
)

jobs = Table("jobs", metadata, Column("name", Text, primary_key=True), _now("next_at"), _now("position"))

simulated_charges = Table(
    "simulated_charges",
    metadata,
    Column("key", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment_method", Text, nullable=False),
    Column("decline_code", Text),
    Column("released", Boolean, nullable=False, server_default=false()),
    _amount("amount_captured"),
    _amount("amount_refunded"),
    _now("created_at"),
    Column("awaits_customer", Boolean, nullable=False, server_default=false()),
)

simulated_refunds = Table(
    "simulated_refunds",
    metadata,
    Column("key", Text, primary_key=True),
    Column("charge_key", Text, ForeignKey("simulated_charges.key"), nullable=False),
    Column("amount", BigInteger, nullable=False),
    _now("created_at"),
)

simulated_faults = Table(
    "simulated_faults",
    metadata,
    Column("key", Text, primary_key=True),
    Column("step", Text, primary_key=True),
)
