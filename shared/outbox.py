"""The outbox: messages to other systems, recorded in the transaction of the event that they tell of.

Each message goes to one endpoint, such as the mail server or a program's webhook. Messages about one subject,
such as an order, reach an endpoint in the order of their events. A replica sends under a lease on the
endpoint, so that an endpoint receives one message at a time, and a slow one delays no other. A message is
sent at least once, always with the same id.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from random import uniform
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    Interval,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    Uuid,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.ids import first_id
from shared.metrics import Figure

LEASE = timedelta(seconds=90)
LONGEST_SEND = timedelta(seconds=55)  # A replica starts no send that may outlast its lease.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(days=1)  # Before a message is sent again.
LONGEST_PAUSE = timedelta(minutes=15)  # Of an endpoint that does not respond.
GROWTH = 3  # The factor between two waits.
JITTER = 0.2  # The largest part of a wait that is added or subtracted.
MOST_FAILURES = 14  # After these a message is dead; the waits before add up to four days and a half.
KEPT = timedelta(days=30)
LOGGED = 10  # Attempts that a message remembers.
WINDOW = 100  # Due messages of an endpoint that are read at once to find the oldest of each subject.
MINUTE = timedelta(minutes=1)
SAVED_UP = 20  # An idle endpoint may receive this part of a minute's messages at once: a twentieth.


class State(StrEnum):
    """The state of a message."""

    WAITING = "waiting"
    SENT = "sent"
    KEPT = "kept"  # In the mailbox of the back office, because the shop has no mail server.
    DEAD = "dead"  # Not sent; it can be sent again by hand.


@dataclass(frozen=True)
class Message:
    """A message to an endpoint; `data` is its content as of the event, `secret` the token of its link."""

    id: UUID
    channel: str
    endpoint: str
    subject: str
    kind: str
    recipient: str | None
    data: Mapping[str, Any]
    secret: str | None = field(repr=False)
    state: State
    attempts: int
    failures: int
    created_at: datetime
    next_attempt_at: datetime
    finished_at: datetime | None
    resend_of: UUID | None
    log: Sequence[Mapping[str, Any]]

    def without_secret(self) -> "Message":
        """Return the message without the token of its link."""
        return replace(self, secret=None)


@dataclass(frozen=True)
class NewMessage:
    """A message that is yet to be recorded."""

    channel: str
    endpoint: str
    subject: str
    kind: str
    data: Mapping[str, Any]
    recipient: str | None = None
    secret: str | None = field(default=None, repr=False)
    resend_of: UUID | None = None


class Verdict(StrEnum):
    """The result of an attempt."""

    SENT = "sent"
    KEPT = "kept"
    FAILED = "failed"  # The endpoint refused this message for now.
    REFUSED = "refused"  # The endpoint will never accept this message.
    UNREACHABLE = "unreachable"  # The endpoint accepts no message now, so none is to blame.


TAKEN = frozenset({Verdict.SENT, Verdict.KEPT})


@dataclass(frozen=True)
class Attempt:
    """An attempt to send a message, and what `log` tells of it.

    A message that failed `most_failures` times is dead. `pause` is for how long the endpoint asks to receive
    nothing; one that `is_gone` is switched off.
    """

    verdict: Verdict
    log: Mapping[str, Any] = field(default_factory=dict)
    most_failures: int = MOST_FAILURES
    pause: timedelta = timedelta()
    is_gone: bool = False


@dataclass(frozen=True)
class Standing:
    """An endpoint after an attempt; it is overdue if it has accepted no message for too long."""

    is_active: bool
    is_overdue: bool


@dataclass(frozen=True)
class Claim:
    """An endpoint under a lease; `failures` are its last attempts in a row without a response."""

    endpoint: str
    channel: str
    lease: UUID
    failures: int = 0


def make_outbox(metadata: MetaData) -> Table:
    """Add the table `outbox` to a service's tables; the migrations create it from `outbox_schema`."""
    outbox = Table(
        "outbox",
        metadata,
        Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
        Column("channel", Text, nullable=False),
        Column("endpoint", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("recipient", Text),
        Column("data", JSONB, nullable=False),
        Column("secret", Text),
        Column("state", Text, nullable=False, server_default=text("'waiting'")),
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("failures", Integer, nullable=False, server_default=text("0")),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("finished_at", DateTime(timezone=True)),
        Column("resend_of", Uuid),
        Column("log", JSONB, nullable=False, server_default=text("'[]'")),
    )
    waiting = outbox.c.state == State.WAITING
    Index("outbox_waiting", outbox.c.endpoint, outbox.c.subject, outbox.c.id, postgresql_where=waiting)
    Index("outbox_due", outbox.c.endpoint, outbox.c.next_attempt_at, outbox.c.id, postgresql_where=waiting)
    Index("outbox_dead", outbox.c.channel, outbox.c.id, postgresql_where=outbox.c.state == State.DEAD)
    Index("outbox_of_subject", outbox.c.subject, outbox.c.id)
    return outbox


def make_endpoints(metadata: MetaData) -> Table:
    """Add the table `outbox_endpoints` to a service's tables."""
    return Table(
        "outbox_endpoints",
        metadata,
        Column("name", Text, primary_key=True),
        Column("channel", Text, nullable=False),
        Column("is_active", Boolean, nullable=False, server_default=text("true")),
        Column("lease_token", Uuid),
        Column("lease_until", DateTime(timezone=True)),
        Column("paused_until", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("paced_from", DateTime(timezone=True), nullable=False, server_default=text("'-infinity'")),
        Column("failures", Integer, nullable=False, server_default=text("0")),
        Column("failing_since", DateTime(timezone=True)),
        Column("failed_at", DateTime(timezone=True)),
        Column("error", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    )


_metadata = MetaData()
OUTBOX, ENDPOINTS = make_outbox(_metadata), make_endpoints(_metadata)
COLUMNS = [*OUTBOX.c]

# An endpoint is free if it has a due message, and no replica sends to it. Endpoints that did not respond may
# take only a part of the threads, so that they delay no other even if each attempt ends in a time-out.
CLAIM = text(
    """
    WITH healthy AS (
        SELECT name FROM outbox_endpoints AS endpoint WHERE failures = 0 AND {is_free}
        ORDER BY lease_until NULLS FIRST LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
    ), failing AS (
        SELECT name FROM outbox_endpoints AS endpoint WHERE failures > 0 AND {is_free}
        ORDER BY lease_until NULLS FIRST LIMIT least(:most_failing, :most - (SELECT count(*) FROM healthy))
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE outbox_endpoints AS endpoint SET lease_token = :lease, lease_until = now() + :lasts
    FROM (SELECT name FROM healthy UNION ALL SELECT name FROM failing) AS free WHERE endpoint.name = free.name
    RETURNING endpoint.name, endpoint.channel, endpoint.failures
""".replace(
        "{is_free}",
        # A subquery of one row reads one entry of the index, also if a thousand messages are due.
        """channel = ANY (:channels) AND is_active AND paused_until <= now()
            AND (lease_token IS NULL OR lease_until < now())
            AND (SELECT next_attempt_at FROM outbox WHERE outbox.endpoint = name AND state = 'waiting'
                ORDER BY next_attempt_at LIMIT 1) <= now()""",
    )
).bindparams(bindparam("channels", type_=ARRAY(Text)), bindparam("lasts", type_=Interval))
# Only the oldest message of a subject has its content read, because the others wait for it. It is the first
# one in an order that only the index `outbox_waiting` has: if it were sought among equal subjects by its id,
# the server might read the primary key from its beginning.
FIND_DUE = text("""
    SELECT due.id AS due_id, oldest.next_attempt_at AS turn,
        oldest.next_attempt_at > due.next_attempt_at AS is_early, outbox.*
    FROM (
        SELECT id, subject, next_attempt_at FROM outbox
        WHERE endpoint = :endpoint AND state = 'waiting' AND next_attempt_at <= now()
        ORDER BY next_attempt_at, id LIMIT :window
    ) AS due
    CROSS JOIN LATERAL (
        SELECT id, next_attempt_at FROM outbox
        WHERE (endpoint, subject) >= (:endpoint, due.subject) AND state = 'waiting'
        ORDER BY endpoint, subject, id LIMIT 1
    ) AS oldest
    LEFT JOIN outbox ON outbox.id = due.id AND outbox.id = oldest.id
    ORDER BY due.next_attempt_at, due.id
""")
DEFER = text("""
    WITH ours AS (
        SELECT name FROM outbox_endpoints WHERE name = :endpoint AND lease_token = :lease FOR NO KEY UPDATE
    )
    UPDATE outbox SET next_attempt_at = early.turn
    FROM ours, unnest(CAST(:ids AS uuid[]), CAST(:turns AS timestamptz[])) AS early (id, turn)
    WHERE outbox.id = early.id AND state = 'waiting'
""")
# The messages that may be sent now, and the seconds until there is one more.
READ_ALLOWANCE = text("""
    SELECT floor(saved / :interval)::int AS number, :interval - saved AS wait
    FROM (
        SELECT least(extract(epoch FROM now() - paced_from)::float, :interval * :burst) AS saved
        FROM outbox_endpoints WHERE name = :endpoint
    ) AS endpoint
""")
# A replica that lost the lease records nothing: the other one sends the message again.
RECORD = text("""
    WITH ours AS (
        UPDATE outbox_endpoints
        SET lease_until = now() + :lasts, error = :error,
            failures = CASE WHEN :is_up THEN 0 ELSE failures + 1 END,
            failed_at = CASE WHEN :is_taken THEN NULL ELSE now() END,
            -- An endpoint that received nothing for long has not failed all the time.
            failing_since = CASE
                WHEN :is_taken THEN NULL
                WHEN failed_at < now() - CAST(:patience AS interval) / 2 THEN now()
                ELSE coalesce(failing_since, now())
            END,
            paused_until = now() + :pause,
            paced_from = greatest(paced_from, now() - make_interval(secs => :interval * :burst))
                + make_interval(secs => :interval)
        WHERE name = :endpoint AND lease_token = :lease
        RETURNING is_active,
            is_active AND (:is_gone OR coalesce(failing_since <= now() - CAST(:patience AS interval), false))
                AS is_overdue
    ), attempted AS (
        UPDATE outbox
        SET state = :state, attempts = :attempts, failures = :failures,
            next_attempt_at = now() + :wait, log = CAST(:log AS jsonb),
            finished_at = CASE WHEN :state <> 'waiting' THEN now() END,
            secret = CASE WHEN :is_erased THEN NULL ELSE secret END
        FROM ours WHERE id = :id
    )
    SELECT is_active, is_overdue FROM ours
""").bindparams(bindparam("error", type_=Text), bindparam("lasts", type_=Interval))
SWITCH_OFF = (
    update(ENDPOINTS)
    .where(ENDPOINTS.c.name == bindparam("endpoint"), ENDPOINTS.c.lease_token == bindparam("lease"))
    .values(is_active=False)
)
RELEASE = (
    update(ENDPOINTS)
    .where(ENDPOINTS.c.name == bindparam("endpoint"), ENDPOINTS.c.lease_token == bindparam("lease"))
    .values(
        lease_token=None,
        lease_until=func.now(),
        paused_until=func.greatest(ENDPOINTS.c.paused_until, func.now() + bindparam("pause", type_=Interval)),
    )
)
# Messages to an endpoint that is switched off do not count: they wait for its owner. The conditions on the
# state are those of the indexes.
FIGURES = text("""
    WITH channels AS (SELECT DISTINCT channel FROM outbox_endpoints),
    waiting AS (
        SELECT outbox.channel, count(*) AS number, min(outbox.created_at) AS oldest
        FROM outbox JOIN outbox_endpoints ON name = endpoint AND is_active WHERE state = 'waiting' GROUP BY 1
    ), dead AS (SELECT channel, count(*) AS number FROM outbox WHERE state = 'dead' GROUP BY 1)
    SELECT channel, coalesce(waiting.number, 0) AS waiting, coalesce(dead.number, 0) AS dead,
        coalesce(extract(epoch FROM now() - waiting.oldest), 0)::float AS age
    FROM channels LEFT JOIN waiting USING (channel) LEFT JOIN dead USING (channel)
""")


def insert_message(connection: Connection, message: NewMessage) -> UUID:
    """Record a message; it is sent once the transaction has committed. Return its id."""
    statement = insert(OUTBOX).values(**vars(message)).returning(OUTBOX.c.id)
    return UUID(str(connection.execute(statement).scalar_one()))


def claim_endpoints(
    connection: Connection, channels: Sequence[str], most: int, most_failing: int
) -> list[Claim]:
    """Lease up to `most` endpoints of these channels that have a message to send now.

    At most `most_failing` of them did not respond last time.
    """
    lease = uuid4()
    values = {"channels": list(channels), "most": most, "most_failing": most_failing, "lease": lease}
    rows = connection.execute(CLAIM, {**values, "lasts": LEASE})
    return [Claim(row.name, row.channel, lease, row.failures) for row in rows]


def read_due_messages(connection: Connection, claim: Claim, most: int) -> tuple[list[Message], bool]:
    """Return messages that a leased endpoint may receive now, and whether more are due after them.

    They are the oldest of their subjects, because the others wait for these.
    A message whose turn is later, because an older one waits to be sent again, is due at that time. Otherwise
    each poll would read all such messages.
    """
    while True:
        rows = connection.execute(FIND_DUE, {"endpoint": claim.endpoint, "window": max(WINDOW, most)}).all()
        messages = [_message(row) for row in rows if row.id is not None]
        early = [row for row in rows if row.is_early]
        is_lost = bool(early) and not _defer(connection, claim, early)
        if messages or not rows or is_lost:
            return messages[:most], len(rows) > len(messages[:most])


def _defer(connection: Connection, claim: Claim, early: Sequence[Row[Any]]) -> int:
    """Make messages due when their turn is; return how many, which is none without the lease."""
    values = {"ids": [row.due_id for row in early], "turns": [row.turn for row in early]}
    return connection.execute(DEFER, {"endpoint": claim.endpoint, "lease": claim.lease, **values}).rowcount


def read_allowance(connection: Connection, endpoint: str, rate: int) -> tuple[int, timedelta]:
    """Return how many messages an endpoint may receive now, and the time until it may receive one more.

    `rate` is the most messages in a minute.
    """
    row = connection.execute(READ_ALLOWANCE, {"endpoint": endpoint, **_choose_pace(rate)}).one()
    return row.number, timedelta(seconds=row.wait)


def record_attempt(
    connection: Connection,
    claim: Claim,
    message: Message,
    attempt: Attempt,
    *,
    patience: timedelta | None,
    erases_secret: bool,
    rate: int | None = None,
) -> Standing | None:
    """Record an attempt, and extend the lease; return None if it was lost or the endpoint deleted.

    An endpoint that does not respond pauses, the longer the more attempts in a row failed before. One that
    has accepted no message for `patience` is overdue.
    """
    is_up, is_taken = attempt.verdict is not Verdict.UNREACHABLE, attempt.verdict in TAKEN
    after = conclude_attempt(message, attempt)
    values = {
        "endpoint": claim.endpoint,
        "lease": claim.lease,
        "lasts": LEASE,
        "id": message.id,
        "error": None if is_taken else attempt.log.get("error"),
        "is_up": is_up,
        "is_taken": is_taken,
        "is_gone": attempt.is_gone,
        "pause": attempt.pause if is_up else choose_wait(claim.failures, longest=LONGEST_PAUSE),
        "patience": patience,
        "state": after.state,
        "attempts": after.attempts,
        "failures": after.failures,
        "wait": timedelta() if is_taken else _choose_message_wait(message, attempt),
        "log": json.dumps(list(after.log)),
        "is_erased": erases_secret and is_taken,
        **_choose_pace(rate),
    }
    row = connection.execute(RECORD, values).first()
    return Standing(row.is_active, row.is_overdue) if row else None


def _choose_pace(rate: int | None) -> Mapping[str, float]:
    """Return the seconds between two messages, and how many an endpoint may receive at once.

    In a minute it receives those that it saved up, and one for each interval, which are `rate` in all.
    """
    if rate is None:
        return {"interval": 0.0, "burst": 0}
    burst = 1 + rate // SAVED_UP
    return {"interval": MINUTE.total_seconds() / (rate - burst + 1), "burst": burst}


def switch_off_endpoint(connection: Connection, claim: Claim) -> None:
    """Send nothing more to a leased endpoint."""
    connection.execute(SWITCH_OFF, {"endpoint": claim.endpoint, "lease": claim.lease})


def conclude_attempt(message: Message, attempt: Attempt) -> Message:
    """Return the message after an attempt."""
    failures = message.failures + (attempt.verdict in {Verdict.FAILED, Verdict.REFUSED})
    state = message.state
    match attempt.verdict:
        case Verdict.SENT:
            state = State.SENT
        case Verdict.KEPT:
            state = State.KEPT
        case Verdict.REFUSED:
            state = State.DEAD
        case Verdict.FAILED if failures >= attempt.most_failures:
            state = State.DEAD
    entry = {
        "attempt": message.attempts + 1,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "result": attempt.verdict,
        **attempt.log,
    }
    return replace(
        message,
        state=state,
        attempts=message.attempts + 1,
        failures=failures,
        log=[*message.log, entry][-LOGGED:],
    )


def choose_wait(failures: int, *, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """Return the wait after this number of earlier failures: it grows, and differs by up to a fifth."""
    # The exponent is bounded, because a large power would not fit into a timedelta.
    wait = min(FIRST_WAIT * GROWTH ** min(failures, 20), longest)
    factor = uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # It spreads load and protects nothing.
    return timedelta(seconds=wait.total_seconds() * factor)


def _choose_message_wait(message: Message, attempt: Attempt) -> timedelta:
    if attempt.verdict is Verdict.UNREACHABLE:
        # Other messages have their turn first, because this one may be what the endpoint cannot process.
        return choose_wait(message.attempts, longest=LONGEST_PAUSE)
    return choose_wait(message.failures)


def release_endpoint(connection: Connection, claim: Claim, pause: timedelta = timedelta()) -> None:
    """Release the lease on an endpoint, which receives nothing for `pause`."""
    values = {"endpoint": claim.endpoint, "lease": claim.lease, "pause": pause}
    connection.execute(RELEASE, values)


def find_message(connection: Connection, message_id: UUID) -> Message | None:
    """Return the message with this id."""
    row = connection.execute(select(*COLUMNS).where(OUTBOX.c.id == message_id)).first()
    return _message(row) if row else None


def read_messages(
    connection: Connection,
    *,
    channel: str,
    limit: int,
    subject: str | None = None,
    endpoint: str | None = None,
    state: State | None = None,
    before: UUID | None = None,
) -> list[Message]:
    """Return messages, newest first."""
    query: Select[Any] = select(*COLUMNS).where(OUTBOX.c.channel == channel)
    for column, value in ((OUTBOX.c.subject, subject), (OUTBOX.c.endpoint, endpoint)):
        if value is not None:
            query = query.where(column == value)
    if state is not None:
        # Part of the statement, so that the server uses the index of this state.
        query = query.where(OUTBOX.c.state == bindparam("state", state.value, literal_execute=True))
    if before is not None:
        query = query.where(OUTBOX.c.id < before)
    return [_message(row) for row in connection.execute(query.order_by(OUTBOX.c.id.desc()).limit(limit))]


def send_again(
    connection: Connection, message_id: UUID, states: Collection[State] = frozenset({State.DEAD})
) -> None:
    """Make a message in one of these states due again, with the same id."""
    again = {"state": State.WAITING, "failures": 0, "next_attempt_at": func.now(), "finished_at": None}
    chosen = (OUTBOX.c.id == message_id, OUTBOX.c.state.in_(states))
    connection.execute(update(OUTBOX).where(*chosen).values(**again))


def delete_message(connection: Connection, message_id: UUID) -> bool:
    """Delete a message; return False if there is none."""
    return connection.execute(delete(OUTBOX).where(OUTBOX.c.id == message_id)).rowcount == 1


def count_recent_messages(
    connection: Connection, recipient: str, kinds: Sequence[str], within: timedelta
) -> int:
    """Return how many mails of these kinds were recorded for an address within a period."""
    query = select(func.count()).where(
        func.lower(OUTBOX.c.recipient) == func.lower(recipient),
        OUTBOX.c.kind.in_(kinds),
        OUTBOX.c.id >= first_id(datetime.now(UTC), -within),
    )
    return int(connection.execute(query).scalar_one())


def delete_old_messages(connection: Connection, limit: int) -> int:
    """Delete messages that are older than 30 days; return how many."""
    oldest = first_id(datetime.now(UTC), -KEPT)
    old = select(OUTBOX.c.id).where(OUTBOX.c.id < oldest).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(old))).rowcount


def read_figures(connection: Connection) -> list[Figure]:
    """Return how many messages wait or are dead, and the age of the oldest, by channel."""
    rows = connection.execute(FIGURES).all()
    return [
        Figure(
            "outbox_messages",
            "Messages that wait or are dead, by channel.",
            ("channel", "state"),
            {(row.channel, state): getattr(row, state) for row in rows for state in ("waiting", "dead")},
        ),
        Figure(
            "outbox_oldest_waiting_seconds",
            "Age of the oldest waiting message in seconds, by channel.",
            ("channel",),
            {(row.channel,): row.age for row in rows},
        ),
    ]


def _message(row: Row[Any]) -> Message:
    values = {column.name: row._mapping[column.name] for column in COLUMNS}
    return Message(**{**values, "state": State(row.state)})
