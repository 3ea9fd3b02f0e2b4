"""Payments: one for an order."""

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
    Uuid,
    and_,
    bindparam,
    case,
    column,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from payments.domain import (
    CANCELED,
    PROCESSING,
    REQUIRES_CAPTURE,
    SUCCEEDED,
    UNANSWERED_FOR,
    Account,
    ClosedOrder,
    Movement,
    Payment,
    PaymentStatus,
    Terms,
)
from payments.tables import MOMENT, ledger_entries, payments
from shared.ids import first_id

IS_PAYMENT = payments.c.customer.is_not(None)

# What every checkout sends is built once: building a statement takes longer than sending it.
BY_ID = select(payments).where(payments.c.id == bindparam("payment_id"))
BY_ORDER = select(payments).where(payments.c.order_id == bindparam("order_id"))
LOCK_BY_ID, LOCK_BY_ORDER = BY_ID.with_for_update(), BY_ORDER.with_for_update()
OPEN = (
    insert(payments)
    .values(
        **{name: bindparam(name) for name in ("order_id", "provider", *Terms.__dataclass_fields__)},
        status=PROCESSING,
        look_at=func.now() + UNANSWERED_FOR,
    )
    .on_conflict_do_nothing(constraint="payments_order_id")
    .returning(payments)
)
CHANGING = (
    "status",
    "decline_code",
    "next_action",
    "amount_captured",
    "amount_refunded",
    "amount_refunding",
)
# The columns that another request may change meanwhile. Every other column changes only with one of these.
COMPARED = ("status", "amount_captured", "amount_refunded", "amount_refunding", "is_closing")
SAVE = (
    update(payments)
    .where(
        payments.c.id == bindparam("payment_id"),
        *(payments.c[name] == bindparam(f"old_{name}") for name in COMPARED),
    )
    .values(
        **{name: bindparam(f"new_{name}", type_=payments.c[name].type) for name in CHANGING},
        look_at=case(
            (
                payments.c.look_at.is_not_distinct_from(bindparam("seen", type_=MOMENT)),
                func.now() + bindparam("look_after", type_=Interval),
            ),
            else_=payments.c.look_at,
        ),
        updated_at=func.now(),
    )
    .returning(payments)
)
# What moved is booked by the statement that changes the payment, so that neither is ever there alone.
BOOKED = ("movement", "debit", "credit", "amount")
SAVED = SAVE.cte("saved")
MOVED = (
    func.unnest(
        *(bindparam(f"{name}s", type_=ARRAY(BigInteger if name == "amount" else Text)) for name in BOOKED)
    )
    .table_valued(*BOOKED, joins_implicitly=True)
    .render_derived(name="moved")
)
BOOK = insert(ledger_entries).from_select(
    ["payment_id", "currency", *BOOKED],
    select(SAVED.c.id, SAVED.c.currency, *(MOVED.c[name] for name in BOOKED)),
)
SAVE_AND_BOOK = select(SAVED).add_cte(BOOK.cte("booked"))


OF_ORDERS = select(payments).where(payments.c.order_id == func.any(bindparam("order_ids", type_=ARRAY(Uuid))))
# Whole captures, of many payments at once, locked in the order of their ids, so that no two who do the same
# wait for each other.
CAPTURED = (
    func.unnest(bindparam("ids", type_=ARRAY(Uuid)), bindparam("looks", type_=ARRAY(MOMENT)))
    .table_valued(column("id", Uuid), column("look_at", MOMENT), joins_implicitly=True)
    .render_derived(name="captured")
)
CAPTURABLE = (
    select(payments.c.id)
    .where(
        payments.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))),
        payments.c.status == REQUIRES_CAPTURE,
        ~payments.c.is_closing,
    )
    .order_by(payments.c.id)
    .with_for_update(key_share=True)
    .cte("capturable")
)
CAPTURE = (
    update(payments)
    .where(payments.c.id == CAPTURABLE.c.id, payments.c.id == CAPTURED.c.id)
    .values(
        status=SUCCEEDED,
        amount_captured=payments.c.amount,
        look_at=case(
            (payments.c.look_at.is_not_distinct_from(CAPTURED.c.look_at), null()), else_=payments.c.look_at
        ),
        updated_at=func.now(),
    )
    .returning(payments.c.id, payments.c.currency, payments.c.amount)
    .cte("taken")
)
BOOK_CAPTURES = insert(ledger_entries).from_select(
    ["payment_id", "currency", "amount", "movement", "debit", "credit"],
    select(
        CAPTURE.c.id,
        CAPTURE.c.currency,
        CAPTURE.c.amount,
        literal("capture", Text),
        literal(Account.RECEIVABLE.value, Text),
        literal(Account.SALES.value, Text),
    ),
)
CAPTURE_AND_BOOK = select(CAPTURE.c.id).add_cte(BOOK_CAPTURES.cte("booked"))


def open_payment(
    connection: Connection, order_id: UUID, terms: Terms, provider: str
) -> Payment | ClosedOrder | None:
    """Begin the order's payment, unless the order has one or is closed; return what it has."""
    # Of two that come at once the second waits here until the first has committed, and then does nothing.
    values = {"order_id": order_id, "provider": provider, **vars(terms)}
    row = connection.execute(OPEN, values).first()
    return _payment(row) if row else find_payment_of_order(connection, order_id)


def close_payment(connection: Connection, order_id: UUID) -> Payment | ClosedOrder:
    """Let the order's payment take no other step than its cancel; an order without one will not get one."""
    is_over = payments.c.status == CANCELED
    row = connection.execute(
        insert(payments)
        .values(order_id=order_id, status=CANCELED, is_closing=True)
        .on_conflict_do_update(
            constraint="payments_order_id",
            set_={
                "is_closing": True,
                "look_at": case((is_over, null()), else_=func.now() + UNANSWERED_FOR),
            },
        )
        .returning(payments)
    ).one()
    return _payment_or_closed(row)


def find_payment_of_order(
    connection: Connection, order_id: UUID, *, lock: bool = False
) -> Payment | ClosedOrder | None:
    """Return the order's payment, or that the order is closed without one."""
    row = connection.execute(LOCK_BY_ORDER if lock else BY_ORDER, {"order_id": order_id}).first()
    return _payment_or_closed(row) if row else None


def read_payments_of_orders(
    connection: Connection, order_ids: Iterable[UUID]
) -> dict[UUID, Payment | ClosedOrder]:
    """Return what these orders have, by the order's id."""
    rows = connection.execute(OF_ORDERS, {"order_ids": list(order_ids)})
    return {row.order_id: _payment_or_closed(row) for row in rows}


def save_captures(connection: Connection, captured: Iterable[Payment]) -> set[UUID]:
    """Record and book payments whose whole amount was taken; return the ids of those that waited for it.

    An earlier time for the sweep's look is kept if a webhook has set it since the payment was read.
    """
    seen = list(captured)
    values = {"ids": [payment.id for payment in seen], "looks": [payment.look_at for payment in seen]}
    return set(connection.execute(CAPTURE_AND_BOOK, values).scalars())


def lock_payment(connection: Connection, payment_id: UUID) -> Payment:
    """Return the payment as it stands, and let nobody else change it until the transaction ends."""
    return _payment(connection.execute(LOCK_BY_ID, {"payment_id": payment_id}).one())


def read_payment(connection: Connection, payment_id: UUID) -> Payment:
    """Return the payment as it stands."""
    return _payment(connection.execute(BY_ID, {"payment_id": payment_id}).one())


def save_payment(
    connection: Connection,
    before: Payment,
    after: Payment,
    movements: Iterable[Movement] = (),
    *,
    seen: datetime | None,
) -> Payment | None:
    """Write what can change of a payment, when to look at it again, and what moved; return it as it is then.

    None if it is not any more as it was `before`; nothing is written then. If somebody has asked for a look
    since `seen` was its time, that one is kept. The database refuses a second movement of the same name.
    """
    values = {
        **{f"new_{name}": getattr(after, name) for name in CHANGING},
        **{f"old_{name}": getattr(before, name) for name in COMPARED},
        "payment_id": after.id,
        "seen": seen,
        "look_after": after.look_after,
    }
    moved = list(movements)
    if moved:
        values |= {
            "movements": [movement.name for movement in moved],
            "debits": [movement.debit.value for movement in moved],
            "credits": [movement.credit.value for movement in moved],
            "amounts": [movement.amount for movement in moved],
        }
    row = connection.execute(SAVE_AND_BOOK if moved else SAVE, values).first()
    return _payment(row) if row else None


def save_reference(connection: Connection, payment_id: UUID, reference: str) -> str | None:
    """Keep the provider's id for a payment, the first that is told; return the one that holds.

    A payment that is being canceled gets none any more.
    """
    reference_kept = func.coalesce(payments.c.provider_reference, reference)
    return connection.execute(
        update(payments)
        .where(payments.c.id == payment_id, ~payments.c.is_closing, payments.c.status != CANCELED)
        .values(provider_reference=reference_kept)
        .returning(payments.c.provider_reference)
    ).scalar()


def find_payment(
    connection: Connection, payment_id: UUID, *, customers: Sequence[str] | None
) -> Payment | None:
    """Return the payment, if it is one of these customers'; None stands for all customers."""
    query = _of_customers(select(payments).where(payments.c.id == payment_id), customers)
    row = connection.execute(query).first()
    return _payment(row) if row else None


def read_payments(
    connection: Connection, *, customers: Sequence[str] | None, before: UUID | None, limit: int
) -> list[Payment]:
    """Return up to `limit` payments older than `before`, newest first."""
    query = _of_customers(select(payments), customers).order_by(payments.c.id.desc()).limit(limit)
    if before:
        query = query.where(payments.c.id < before)
    return [_payment(row) for row in connection.execute(query)]


def read_payments_by_id(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Payment]:
    """Return those of these payments that are there."""
    rows = connection.execute(select(payments).where(payments.c.id.in_(list(ids)), IS_PAYMENT))
    return {row.id: _payment(row) for row in rows}


def read_charged(connection: Connection, provider: str, since: datetime, until: datetime) -> set[UUID]:
    """Return the payments made in this time of which the provider must hold or have taken money."""
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
    """Return a payment that somebody should look at, and keep it from other replicas for a while."""
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
        .values(look_at=func.now() + UNANSWERED_FOR)
        .returning(payments)
    ).first()
    return _payment(row) if row else None


def ask_for_look(connection: Connection, *, reference: str | None = None, ids: Iterable[UUID] = ()) -> int:
    """Have payments looked at as soon as possible, by the provider's id or by ours; return how many."""
    these = payments.c.provider_reference == reference if reference else payments.c.id.in_(list(ids))
    return connection.execute(
        update(payments).where(and_(these, IS_PAYMENT)).values(look_at=func.clock_timestamp())
    ).rowcount


def reassign_payments(connection: Connection, order_ids: Iterable[UUID], customer: str) -> int:
    """Make the payments of these orders the customer's; return how many there are."""
    these = and_(payments.c.order_id.in_(list(order_ids)), IS_PAYMENT)
    return connection.execute(update(payments).where(these).values(customer=customer)).rowcount


def _of_customers(query: Select[Any], customers: Sequence[str] | None) -> Select[Any]:
    return query.where(IS_PAYMENT if customers is None else payments.c.customer.in_(customers))


def _payment_or_closed(row: Row[Any]) -> Payment | ClosedOrder:
    return _payment(row) if row.customer is not None else ClosedOrder(row.order_id)


def _payment(row: Row[Any]) -> Payment:
    return Payment(**{**row._mapping, "status": PaymentStatus(row.status)})
