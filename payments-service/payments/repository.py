"""The tables, and every statement that touches them."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or

from payments.domain import (
    CANCELED,
    PROCESSING,
    Account,
    Charge,
    ClosedOrder,
    LedgerEntry,
    Line,
    Movement,
    Payment,
    PaymentStatus,
    Terms,
)

metadata = MetaData()


def _id() -> Column[UUID]:
    return Column("id", Uuid, primary_key=True, server_default=func.uuidv7())


def _amount(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _created_at() -> Column[Any]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


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
    _created_at(),
    UniqueConstraint("order_id", name="payments_order_id"),
)
Index("payments_customer", payments.c.customer, payments.c.id)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    _id(),
    Column("payment_id", Uuid, ForeignKey("payments.id"), nullable=False),
    Column("movement", Text, nullable=False),
    Column("currency", Text, nullable=False),
    _created_at(),
    UniqueConstraint("payment_id", "movement", name="ledger_entries_movement"),
)

ledger_lines = Table(
    "ledger_lines",
    metadata,
    Column("entry_id", Uuid, ForeignKey("ledger_entries.id"), primary_key=True),
    Column("account", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
)

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
    _created_at(),
)

IS_PAYMENT = payments.c.customer.is_not(None)


def insert_payment(connection: Connection, order_id: UUID, terms: Terms, provider: str) -> None:
    """Begin the order's payment, unless the order has one or is closed."""
    _insert_for_order(connection, order_id, status=PROCESSING, provider=provider, **vars(terms))


def close_order(connection: Connection, order_id: UUID) -> None:
    """Record that the order will not be charged, unless it has a payment or is closed already."""
    _insert_for_order(connection, order_id, status=CANCELED)


def find_payment_of_order(connection: Connection, order_id: UUID) -> Payment | ClosedOrder | None:
    """Return the order's payment, or that the order is closed without one."""
    row = connection.execute(select(payments).where(payments.c.order_id == order_id)).first()
    if row is None:
        return None
    return _payment(row) if row.customer is not None else ClosedOrder(order_id)


def lock_payment(connection: Connection, payment_id: UUID) -> Payment:
    """Return the payment as it stands, and let nobody else change it until the transaction ends."""
    query = select(payments).where(payments.c.id == payment_id).with_for_update()
    return _payment(connection.execute(query).one())


def save_payment(connection: Connection, payment: Payment) -> None:
    """Write what can change of a payment."""
    connection.execute(
        update(payments)
        .where(payments.c.id == payment.id)
        .values(
            status=payment.status,
            decline_code=payment.decline_code,
            amount_captured=payment.amount_captured,
            amount_refunded=payment.amount_refunded,
        )
    )


def find_payment(connection: Connection, payment_id: UUID, *, customer: str | None) -> Payment | None:
    """Return the payment, if it is this customer's; None stands for anybody's."""
    query = _of_customer(select(payments).where(payments.c.id == payment_id), customer)
    row = connection.execute(query).first()
    return _payment(row) if row else None


def read_payments(
    connection: Connection, *, customer: str | None, before: UUID | None, limit: int
) -> list[Payment]:
    """Return up to `limit` payments older than `before`, newest first."""
    query = _of_customer(select(payments), customer).order_by(payments.c.id.desc()).limit(limit)
    if before:
        query = query.where(payments.c.id < before)
    return [_payment(row) for row in connection.execute(query)]


def book_movement(connection: Connection, payment: Payment, movement: Movement) -> None:
    """Add an entry to the ledger; the database refuses a second one of that name, or one out of balance."""
    entry_id = connection.execute(
        insert(ledger_entries)
        .values(payment_id=payment.id, movement=movement.name, currency=payment.currency)
        .returning(ledger_entries.c.id)
    ).scalar_one()
    connection.execute(
        insert(ledger_lines), [{"entry_id": entry_id, **vars(line)} for line in movement.lines]
    )


def read_ledger(connection: Connection, *, before: UUID | None, limit: int) -> list[LedgerEntry]:
    """Return up to `limit` entries older than `before`, newest first, each with its lines."""
    query = select(ledger_entries).order_by(ledger_entries.c.id.desc()).limit(limit)
    if before:
        query = query.where(ledger_entries.c.id < before)
    entries = {row.id: LedgerEntry(**row._mapping, lines=[]) for row in connection.execute(query)}
    lines = select(ledger_lines).where(ledger_lines.c.entry_id.in_(entries)).order_by(ledger_lines.c.account)
    for entry_id, account, amount in connection.execute(lines):
        entries[entry_id].lines.append(Line(Account(account), amount))
    return list(entries.values())


def insert_charge(connection: Connection, key: str, payment: Payment, decline_code: str | None) -> None:
    """Write a charge into the simulated provider's book, unless that key has one."""
    connection.execute(
        insert_or(simulated_charges)
        .values(
            key=key,
            amount=payment.amount,
            currency=payment.currency,
            payment_method=payment.payment_method,
            decline_code=decline_code,
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )


def capture_charge(connection: Connection, key: str) -> None:
    """Take the money of a charge, if it is held."""
    held = simulated_charges.c.decline_code.is_(None) & ~simulated_charges.c.released
    _update_charge(connection, key, held, amount_captured=simulated_charges.c.amount)


def release_charge(connection: Connection, key: str) -> None:
    """Give back what a charge holds or took, if that was not done."""
    kept = ~simulated_charges.c.released
    _update_charge(connection, key, kept, released=True, amount_refunded=simulated_charges.c.amount_captured)


def read_charge(connection: Connection, key: str) -> Charge:
    """Return a charge of the simulated provider's book as it stands."""
    row = connection.execute(select(simulated_charges).where(simulated_charges.c.key == key)).one()
    return Charge(row.decline_code, row.amount_captured, row.amount_refunded, row.released)


def _insert_for_order(connection: Connection, order_id: UUID, **values: Any) -> None:
    # Of two that come at once the second waits here until the first has committed, and then does nothing.
    connection.execute(
        insert_or(payments)
        .values(order_id=order_id, **values)
        .on_conflict_do_nothing(constraint="payments_order_id")
    )


def _of_customer(query: Select[Any], customer: str | None) -> Select[Any]:
    return query.where(IS_PAYMENT if customer is None else payments.c.customer == customer)


def _update_charge(connection: Connection, key: str, condition: Any, **values: Any) -> None:
    connection.execute(
        update(simulated_charges).where(simulated_charges.c.key == key, condition).values(**values)
    )


def _payment(row: Row[Any]) -> Payment:
    return Payment(**{**row._mapping, "status": PaymentStatus(row.status)})
