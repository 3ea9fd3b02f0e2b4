"""Payments, one per order."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    Interval,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from payments.domain.ledger import Movement
from payments.domain.payments import (
    CANCELED,
    PROCESSING,
    PROVIDER_CHECK_DELAY,
    REQUIRES_CAPTURE,
    SUCCEEDED,
    ClosedOrder,
    Payment,
    PaymentStatus,
    Terms,
)
from payments.tables import MOMENT, ledger_entries, payments
from shared.ids import first_id

IS_PAYMENT = payments.c.customer.is_not(None)

# The statements of every checkout are built once, because building one takes longer than sending it.
BY_ID = select(payments).where(payments.c.id == bindparam("payment_id"))
BY_ORDER = select(payments).where(payments.c.order_id == bindparam("order_id"))
LOCK_BY_ID, LOCK_BY_ORDER = BY_ID.with_for_update(), BY_ORDER.with_for_update()
OPEN = (
    insert(payments)
    .values(
        **{name: bindparam(name) for name in ("order_id", "provider", *Terms.__dataclass_fields__)},
        status=PROCESSING,
        look_at=func.now() + PROVIDER_CHECK_DELAY,
    )
    .on_conflict_do_nothing(constraint="payments_order_id")
    .returning(payments)
)
SAVED_COLUMNS = (
    "status",
    "decline_code",
    "next_action",
    "amount_captured",
    "amount_refunded",
    "amount_refunding",
)
# A concurrent change of the payment always changes one of these columns.
COMPARED_COLUMNS = ("status", "amount_captured", "amount_refunded", "amount_refunding", "is_closing")
SAVE = (
    update(payments)
    .where(
        payments.c.id == bindparam("payment_id"),
        *(payments.c[name] == bindparam(f"old_{name}") for name in COMPARED_COLUMNS),
    )
    .values(
        **{name: bindparam(f"new_{name}", type_=payments.c[name].type) for name in SAVED_COLUMNS},
        look_at=case(
            (
                payments.c.look_at.is_not_distinct_from(bindparam("look_at_seen", type_=MOMENT)),
                func.now() + bindparam("check_delay", type_=Interval),
            ),
            else_=payments.c.look_at,
        ),
        updated_at=func.now(),
    )
    .returning(payments)
)
# One statement changes the payment and adds the ledger entries, so that neither exists without the other.
ENTRY_COLUMNS = ("movement", "debit", "credit", "amount")
SAVED = SAVE.cte("saved")
MOVED = (
    func.unnest(
        *(
            bindparam(f"{name}s", type_=ARRAY(BigInteger if name == "amount" else Text))
            for name in ENTRY_COLUMNS
        )
    )
    .table_valued(*ENTRY_COLUMNS, joins_implicitly=True)
    .render_derived(name="moved")
)
INSERT_ENTRIES = insert(ledger_entries).from_select(
    ["payment_id", "currency", *ENTRY_COLUMNS],
    select(SAVED.c.id, SAVED.c.currency, *(MOVED.c[name] for name in ENTRY_COLUMNS)),
)
SAVE_WITH_ENTRIES = select(SAVED).add_cte(INSERT_ENTRIES.cte("entries"))


def open_payment(
    connection: Connection, order_id: UUID, terms: Terms, provider: str
) -> Payment | ClosedOrder | None:
    """Insert the payment of an order; return the existing payment or closed order if there is one."""
    # A concurrent insert for the same order waits here until the first one commits.
    values = {"order_id": order_id, "provider": provider, **vars(terms)}
    row = connection.execute(OPEN, values).first()
    return _to_payment(row) if row else find_payment_of_order(connection, order_id)


def close_payment(connection: Connection, order_id: UUID) -> Payment | ClosedOrder:
    """Mark the payment of an order as closing; an order without a payment can never get one."""
    is_canceled = payments.c.status == CANCELED
    row = connection.execute(
        insert(payments)
        .values(order_id=order_id, status=CANCELED, is_closing=True)
        .on_conflict_do_update(
            constraint="payments_order_id",
            set_={
                "is_closing": True,
                "look_at": case((is_canceled, null()), else_=func.now() + PROVIDER_CHECK_DELAY),
            },
        )
        .returning(payments)
    ).one()
    return to_payment_or_closed(row)


def find_payment_of_order(
    connection: Connection, order_id: UUID, *, lock: bool = False
) -> Payment | ClosedOrder | None:
    """Return the payment of an order, a ClosedOrder if it was closed without one, or None."""
    row = connection.execute(LOCK_BY_ORDER if lock else BY_ORDER, {"order_id": order_id}).first()
    return to_payment_or_closed(row) if row else None


def lock_payment(connection: Connection, payment_id: UUID) -> Payment:
    """Return the payment, locked until the transaction ends."""
    return _to_payment(connection.execute(LOCK_BY_ID, {"payment_id": payment_id}).one())


def read_payment(connection: Connection, payment_id: UUID) -> Payment:
    """Return the payment."""
    return _to_payment(connection.execute(BY_ID, {"payment_id": payment_id}).one())


def save_payment(
    connection: Connection,
    before: Payment,
    after: Payment,
    movements: Iterable[Movement] = (),
    *,
    look_at_seen: datetime | None,
) -> Payment | None:
    """Save a payment, the time of its next check and its movements; return the saved payment.

    Returns None, and writes nothing, if the stored payment differs from `before`. A check that was scheduled
    since the caller read `look_at_seen` is kept. The database refuses a second movement of the same name.
    """
    values = {
        **{f"new_{name}": getattr(after, name) for name in SAVED_COLUMNS},
        **{f"old_{name}": getattr(before, name) for name in COMPARED_COLUMNS},
        "payment_id": after.id,
        "look_at_seen": look_at_seen,
        "check_delay": after.check_delay,
    }
    moved = list(movements)
    if moved:
        values |= {
            "movements": [movement.name for movement in moved],
            "debits": [movement.debit.value for movement in moved],
            "credits": [movement.credit.value for movement in moved],
            "amounts": [movement.amount for movement in moved],
        }
    row = connection.execute(SAVE_WITH_ENTRIES if moved else SAVE, values).first()
    return _to_payment(row) if row else None


def save_reference(connection: Connection, payment_id: UUID, reference: str) -> str | None:
    """Store the provider's id of a payment unless it has one; return the stored id.

    Returns None for a payment that is canceled or being canceled.
    """
    first_reference = func.coalesce(payments.c.provider_reference, reference)
    return connection.execute(
        update(payments)
        .where(payments.c.id == payment_id, ~payments.c.is_closing, payments.c.status != CANCELED)
        .values(provider_reference=first_reference)
        .returning(payments.c.provider_reference)
    ).scalar()


def find_payment(
    connection: Connection, payment_id: UUID, *, customers: Sequence[str] | None
) -> Payment | None:
    """Return the payment if it belongs to one of these customers; None means all customers."""
    query = _of_customers(select(payments).where(payments.c.id == payment_id), customers)
    row = connection.execute(query).first()
    return _to_payment(row) if row else None


def read_payments(
    connection: Connection, *, customers: Sequence[str] | None, before: UUID | None, limit: int
) -> list[Payment]:
    """Return up to `limit` payments older than `before`, newest first; None means all customers."""
    query = _of_customers(select(payments), customers).order_by(payments.c.id.desc()).limit(limit)
    if before:
        query = query.where(payments.c.id < before)
    return [_to_payment(row) for row in connection.execute(query)]


def read_payments_by_id(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Payment]:
    """Return the existing payments among these ids, by id."""
    rows = connection.execute(select(payments).where(payments.c.id.in_(list(ids)), IS_PAYMENT))
    return {row.id: _to_payment(row) for row in rows}


def read_charged_ids(connection: Connection, provider: str, since: datetime, until: datetime) -> set[UUID]:
    """Return the ids of payments created in this interval whose money is held or captured."""
    return set(
        connection.execute(
            select(payments.c.id).where(
                payments.c.id >= first_id(since),
                payments.c.id < first_id(until),
                payments.c.provider == provider,
                payments.c.status.in_([REQUIRES_CAPTURE, SUCCEEDED]),
            )
        ).scalars()
    )


def claim_due_payment(connection: Connection, provider: str) -> Payment | None:
    """Return a payment whose check is due, and postpone the check, so that one replica performs it."""
    due = (
        select(payments.c.id)
        .where(payments.c.look_at <= func.now(), payments.c.provider == provider)
        .order_by(payments.c.look_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(
        update(payments)
        .where(payments.c.id == due.scalar_subquery())
        .values(look_at=func.now() + PROVIDER_CHECK_DELAY)
        .returning(payments)
    ).first()
    return _to_payment(row) if row else None


def schedule_checks(connection: Connection, *, reference: str | None = None, ids: Iterable[UUID] = ()) -> int:
    """Schedule an immediate check of payments, by the provider's id or by ours; return their number."""
    these = payments.c.provider_reference == reference if reference else payments.c.id.in_(list(ids))
    return connection.execute(
        update(payments).where(and_(these, IS_PAYMENT)).values(look_at=func.clock_timestamp())
    ).rowcount


def reassign_payments(connection: Connection, order_ids: Iterable[UUID], customer: str) -> int:
    """Assign the payments of these orders to the customer; return their number."""
    these = and_(payments.c.order_id.in_(list(order_ids)), IS_PAYMENT)
    return connection.execute(update(payments).where(these).values(customer=customer)).rowcount


def _of_customers(query: Select[Any], customers: Sequence[str] | None) -> Select[Any]:
    return query.where(IS_PAYMENT if customers is None else payments.c.customer.in_(customers))


def to_payment_or_closed(row: Row[Any]) -> Payment | ClosedOrder:
    """Return the payment of a row, or the closed order if the row has no payment."""
    return _to_payment(row) if row.customer is not None else ClosedOrder(row.order_id)


def _to_payment(row: Row[Any]) -> Payment:
    return Payment(**{**row._mapping, "status": PaymentStatus(row.status)})
