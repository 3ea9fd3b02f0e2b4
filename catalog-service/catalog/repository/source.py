"""SQL for the status of copying the source, which all replicas share, and for the reports."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    Integer,
    Row,
    and_,
    delete,
    extract,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from catalog.domain import (
    BREAKER_FAILURES,
    FIRST_LOCAL_ID,
    Adjustment,
    Claim,
    Rejection,
    SourceCopy,
    SyncReport,
    SyncStatus,
)
from catalog.repository.edits import NONE
from catalog.tables import IS_FURTHER, products, source_copy, source_pages, source_syncs

KEPT_REPORTS = 100

# The columns of a SourceCopy.
COPY = [
    source_copy.c.source,
    source_copy.c.copied_at,
    source_copy.c.failures,
    source_copy.c.error_status,
    source_copy.c.error_detail,
    source_copy.c.fence,
    extract("epoch", func.now() - source_copy.c.copied_at).cast(Float).label("age_seconds"),
    extract("epoch", source_copy.c.next_attempt_at - func.now()).cast(Float).label("next_in_seconds"),
]
READ_COPY = select(*COPY)


def read_source_copy(connection: Connection) -> SourceCopy:
    """Return the status of the copy."""
    return SourceCopy(**connection.execute(READ_COPY).one()._mapping)


def claim_copy(connection: Connection, source: str, lease_seconds: int, edition: int = 0) -> Claim | None:
    """Claim the copy if it is due and unclaimed, and begin a report; a claim expires unless it is extended.

    A different source is due at once. Its first copy discards the pages and the edits of the previous source.
    A newer edition of the source is due at once, too. Its pages have their edition as validator.
    """
    now = func.now()
    changed = source_copy.c.source.is_distinct_from(source)
    reset = dict.fromkeys(["copied_at", "error_status", "error_detail", "leased_until"])
    moved = connection.execute(
        update(source_copy).where(changed).values(source=source, next_attempt_at=now, failures=0, **reset)
    )
    if moved.rowcount:
        connection.execute(delete(source_pages))
        # The same id belongs to a different product in the new source.
        of_source = products.c.parent_id < FIRST_LOCAL_ID
        from_source = or_(products.c.id < FIRST_LOCAL_ID, of_source)
        connection.execute(update(products).where(from_source, products.c.edited != NONE).values(edited=NONE))
        # The copy ends the sale of variants that an admin added to the previous source's products.
        added_here = and_(IS_FURTHER, of_source, products.c.source_sku.is_(None))
        connection.execute(update(products).where(added_here).values(source_sku=products.c.sku))
    row = connection.execute(
        select(
            source_copy.c.copied_at,
            source_copy.c.failures,
            source_copy.c.overwrite,
            source_copy.c.allow_removals,
        )
        .where(
            or_(
                source_copy.c.next_attempt_at <= now,
                source_copy.c.requested_at.is_not(None),
                _has_older_edition(edition),
            ),
            or_(source_copy.c.leased_until.is_(None), source_copy.c.leased_until <= now),
        )
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    options = {"overwrite": row.overwrite, "allow_removals": row.allow_removals}
    begun = insert(source_syncs).values(source=source, status=SyncStatus.RUNNING, **options)
    fence: int = connection.execute(begun.returning(source_syncs.c.id)).scalar_one()
    running = source_syncs.c.status == SyncStatus.RUNNING
    connection.execute(
        update(source_syncs)
        .where(running, source_syncs.c.id < fence)
        .values(status=SyncStatus.ABANDONED, finished_at=now)
    )
    connection.execute(delete(source_syncs).where(source_syncs.c.id <= fence - KEPT_REPORTS))
    lease = _in_seconds(lease_seconds)
    connection.execute(
        update(source_copy).values(
            fence=fence,
            next_attempt_at=lease,
            leased_until=lease,
            requested_at=None,
            overwrite=False,
            allow_removals=False,
        )
    )
    return Claim(fence, row.copied_at is None, row.failures >= BREAKER_FAILURES, **options)


def extend_claim(connection: Connection, fence: int, lease_seconds: int) -> bool:
    """Extend the claim, and block other claims until the transaction ends; return whether it is still valid.

    So only the newest copy can write in this transaction.
    """
    lease = _in_seconds(lease_seconds)
    extended = connection.execute(
        update(source_copy)
        .where(source_copy.c.fence == fence)
        .values(next_attempt_at=lease, leased_until=lease)
    )
    return extended.rowcount == 1


def record_copy(connection: Connection, fence: int, next_in_seconds: int | None) -> None:
    """Record that the copy succeeded, and when the next one is due; None means never."""
    due = text("'infinity'") if next_in_seconds is None else _in_seconds(next_in_seconds)
    _release(
        connection,
        fence,
        copied_at=func.now(),
        next_attempt_at=due,
        failures=0,
        error_status=None,
        error_detail=None,
    )


def record_failure(
    connection: Connection, fence: int, status: int, detail: str, next_in_seconds: float
) -> None:
    """Record that the copy failed, and why."""
    _release(
        connection,
        fence,
        next_attempt_at=_in_seconds(next_in_seconds),
        failures=source_copy.c.failures + 1,
        error_status=status,
        error_detail=detail,
    )


def request_copy(connection: Connection, *, overwrite: bool, allow_removals: bool) -> None:
    """Make the next copy due at once, with these options."""
    connection.execute(
        update(source_copy).values(
            requested_at=func.now(),
            overwrite=source_copy.c.overwrite | literal(overwrite),
            allow_removals=source_copy.c.allow_removals | literal(allow_removals),
        )
    )


def finish_report(
    connection: Connection,
    fence: int,
    status: SyncStatus,
    detail: str | None,
    numbers: dict[str, int],
    rejected: Sequence[Rejection],
    adjusted: Sequence[Adjustment],
) -> None:
    """Complete the report of the copy."""
    connection.execute(
        update(source_syncs)
        .where(source_syncs.c.id == fence)
        .values(
            status=status,
            finished_at=func.now(),
            detail=detail,
            rejected=[asdict(each) for each in rejected],
            adjusted=[asdict(each) for each in adjusted],
            **numbers,
        )
    )


def read_report(connection: Connection, *, after: int = 0) -> SyncReport | None:
    """Return the newest report with an id above `after`, or None."""
    newest = select(source_syncs).where(source_syncs.c.id > after).order_by(source_syncs.c.id.desc()).limit(1)
    row = connection.execute(newest).first()
    return _report(row) if row else None


def _report(row: Row[*tuple[Any, ...]]) -> SyncReport:
    values = {field.name: getattr(row, field.name) for field in fields(SyncReport)}
    values["status"] = SyncStatus(row.status)
    values["rejected"] = [Rejection(**each) for each in row.rejected]
    values["adjusted"] = [Adjustment(**each) for each in row.adjusted]
    return SyncReport(**values)


def _has_older_edition(edition: int) -> Any:
    if not edition:
        return false()
    # A running or failed copy is due again as usual, because its next attempt is not `infinity`.
    copied = select(func.max(source_pages.c.etag.cast(Integer))).scalar_subquery()
    is_at_rest = source_copy.c.next_attempt_at == text("'infinity'")
    return and_(is_at_rest, func.coalesce(copied, 1) < edition)


def _release(connection: Connection, fence: int, **values: Any) -> None:
    connection.execute(
        update(source_copy).where(source_copy.c.fence == fence).values(leased_until=None, **values)
    )


def _in_seconds(seconds: float) -> Any:
    return func.now() + text(f"interval '{float(seconds):.3f} seconds'")
