"""The outbox: messages to other systems, recorded in the transaction of the event that they tell of.

Each message goes to one endpoint, such as the mail server or a program's webhook. Messages about one subject,
such as an order, reach an endpoint in the order of their events. A replica sends under a lease on the
endpoint, so that an endpoint receives one message at a time, and a slow one delays no other. A message is
sent at least once, always with the same id.
"""

import json
from collections.abc import Mapping, Sequence
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

LEASE = timedelta(seconds=90)  # Longer than the longest send.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(days=1)  # Before a message is sent again.
LONGEST_PAUSE = timedelta(minutes=15)  # Of an endpoint that does not respond.
GROWTH = 3  # The factor between two waits.
JITTER = 0.2  # The largest part of a wait that is added or subtracted.
MOST_FAILURES = 14  # After these a message is dead; the waits before add up to five days and a half.
KEPT = timedelta(days=30)
LOGGED = 10  # Attempts that a message remembers.
RATE_WINDOW = timedelta(minutes=1)


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
        Column("attempted_at", DateTime(timezone=True)),
        Column("finished_at", DateTime(timezone=True)),
        Column("resend_of", Uuid),
        Column("log", JSONB, nullable=False, server_default=text("'[]'")),
    )
    waiting = outbox.c.state == State.WAITING
    Index("outbox_waiting", outbox.c.endpoint, outbox.c.subject, outbox.c.id, postgresql_where=waiting)
    Index("outbox_dead", outbox.c.channel, outbox.c.id, postgresql_where=outbox.c.state == State.DEAD)
    Index("outbox_of_subject", outbox.c.subject, outbox.c.id)
    Index("outbox_attempted", outbox.c.endpoint, outbox.c.attempted_at)
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
        Column("failures", Integer, nullable=False, server_default=text("0")),
        Column("failing_since", DateTime(timezone=True)),
        Column("error", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    )


_metadata = MetaData()
OUTBOX, ENDPOINTS = make_outbox(_metadata), make_endpoints(_metadata)
COLUMNS = [column for column in OUTBOX.c if column.name != "attempted_at"]

# The oldest waiting message of each subject; the others wait for it. An anti-join would be simpler, but takes
# quadratic time while the statistics do not know of a burst of messages.
FIRSTS = """(
            SELECT DISTINCT ON (subject) id, next_attempt_at FROM outbox
            WHERE outbox.endpoint = {endpoint} AND state = 'waiting' ORDER BY subject, id
        ) AS first"""
CLAIM = text(
    """
    WITH free AS (
        SELECT name FROM outbox_endpoints AS endpoint
        WHERE channel = ANY (:channels) AND is_active AND paused_until <= now()
            AND (lease_token IS NULL OR lease_until < now())
            AND EXISTS (SELECT FROM {firsts} WHERE next_attempt_at <= now())
        -- The one that was served last is served last.
        ORDER BY lease_until NULLS FIRST LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE outbox_endpoints AS endpoint SET lease_token = :lease, lease_until = now() + :lasts
    FROM free WHERE endpoint.name = free.name
    RETURNING endpoint.name, endpoint.channel, endpoint.failures
""".replace("{firsts}", FIRSTS.replace("{endpoint}", "endpoint.name"))
).bindparams(bindparam("channels", type_=ARRAY(Text)), lasts=LEASE)
FIND_DUE = text(
    """
    SELECT * FROM outbox
    WHERE id IN (SELECT id FROM {firsts} WHERE next_attempt_at <= now() ORDER BY id LIMIT :most)
    ORDER BY id
""".replace("{firsts}", FIRSTS.replace("{endpoint}", ":endpoint"))
)
COUNT_RECENT = select(func.count()).where(
    OUTBOX.c.endpoint == bindparam("endpoint"), OUTBOX.c.attempted_at > func.now() - RATE_WINDOW
)
# A replica that lost the lease records nothing: the other one sends the message again.
RECORD = text("""
    WITH last AS (
        -- An endpoint that received nothing for long has not failed all the time.
        SELECT failing_since AS since FROM outbox_endpoints
        WHERE name = :endpoint AND (CAST(:patience AS interval) IS NULL OR EXISTS (
            SELECT FROM outbox
            WHERE outbox.endpoint = :endpoint AND attempted_at > now() - CAST(:patience AS interval) / 2))
    ), ours AS (
        UPDATE outbox_endpoints
        SET lease_until = now() + :lasts, error = :error,
            failures = CASE WHEN :is_up THEN 0 ELSE failures + 1 END,
            failing_since = CASE WHEN :is_taken THEN NULL ELSE coalesce((SELECT since FROM last), now()) END,
            paused_until = now() + :pause,
            is_active = is_active AND NOT :is_gone AND (:is_taken OR CAST(:patience AS interval) IS NULL
                OR coalesce((SELECT since FROM last), now()) > now() - CAST(:patience AS interval))
        WHERE name = :endpoint AND lease_token = :lease
        RETURNING old.is_active AS was_active, new.is_active AS is_active
    ), attempted AS (
        UPDATE outbox
        SET state = :state, attempts = attempts + 1, failures = :failures, attempted_at = now(),
            next_attempt_at = now() + :wait, log = CAST(:log AS jsonb),
            finished_at = CASE WHEN :state <> 'waiting' THEN now() END,
            secret = CASE WHEN :is_erased THEN NULL ELSE secret END
        FROM ours WHERE id = :id
    )
    -- Null if a user has switched the endpoint off meanwhile.
    SELECT CASE WHEN was_active THEN is_active END AS is_active FROM ours
""").bindparams(bindparam("error", type_=Text), lasts=LEASE)
RELEASE = (
    update(ENDPOINTS)
    .where(ENDPOINTS.c.name == bindparam("endpoint"), ENDPOINTS.c.lease_token == bindparam("lease"))
    .values(
        lease_token=None,
        lease_until=func.now(),
        paused_until=func.greatest(ENDPOINTS.c.paused_until, func.now() + bindparam("pause", type_=Interval)),
    )
)
# Two conditions for two indexes.
FIGURES = text("""
    SELECT channel, state, count(*) AS number, extract(epoch FROM now() - min(created_at))::float AS age
    FROM outbox WHERE state = 'waiting' GROUP BY channel, state
    UNION ALL
    SELECT channel, state, count(*), 0 FROM outbox WHERE state = 'dead' GROUP BY channel, state
""")


def insert_message(connection: Connection, message: NewMessage) -> UUID:
    """Record a message; it is sent once the transaction has committed. Return its id."""
    statement = insert(OUTBOX).values(**vars(message)).returning(OUTBOX.c.id)
    return UUID(str(connection.execute(statement).scalar_one()))


def claim_endpoints(connection: Connection, channels: Sequence[str], most: int) -> list[Claim]:
    """Lease up to `most` endpoints of these channels that have a message to send now."""
    lease = uuid4()
    rows = connection.execute(CLAIM, {"channels": list(channels), "most": most, "lease": lease})
    return [Claim(row.name, row.channel, lease, row.failures) for row in rows]


def read_due_messages(connection: Connection, endpoint: str, most: int) -> list[Message]:
    """Return the messages that a leased endpoint may receive now: the oldest of each subject."""
    return [_message(row) for row in connection.execute(FIND_DUE, {"endpoint": endpoint, "most": most})]


def count_recent_attempts(connection: Connection, endpoint: str) -> int:
    """Return how many messages were sent to an endpoint, or tried, within the last minute."""
    return int(connection.execute(COUNT_RECENT, {"endpoint": endpoint}).scalar_one())


def record_attempt(
    connection: Connection,
    claim: Claim,
    message: Message,
    attempt: Attempt,
    *,
    patience: timedelta | None,
    erases_secret: bool,
) -> bool | None:
    """Record an attempt, and extend the lease; return whether the endpoint is still active.

    Returns None if the lease was lost, or the endpoint was switched off or deleted during the attempt.

    An endpoint that does not respond pauses, the longer the more attempts in a row failed before. One that
    has accepted no message for `patience` is switched off.
    """
    is_up, is_taken = attempt.verdict is not Verdict.UNREACHABLE, attempt.verdict in TAKEN
    after = conclude_attempt(message, attempt)
    values = {
        "endpoint": claim.endpoint,
        "lease": claim.lease,
        "id": message.id,
        "error": None if is_taken else attempt.log.get("error"),
        "is_up": is_up,
        "is_taken": is_taken,
        "is_gone": attempt.is_gone,
        "pause": attempt.pause if is_up else choose_wait(claim.failures, longest=LONGEST_PAUSE),
        "patience": patience,
        "state": after.state,
        "failures": after.failures,
        "wait": timedelta() if is_taken else _choose_message_wait(message, attempt),
        "log": json.dumps(list(after.log)),
        "is_erased": erases_secret and is_taken,
    }
    active = connection.execute(RECORD, values).scalar()
    return None if active is None else bool(active)


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
    return replace(message, state=state, failures=failures, log=[*message.log, entry][-LOGGED:])


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
    chosen = {OUTBOX.c.subject: subject, OUTBOX.c.endpoint: endpoint, OUTBOX.c.state: state}
    for column, value in chosen.items():
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(OUTBOX.c.id < before)
    return [_message(row) for row in connection.execute(query.order_by(OUTBOX.c.id.desc()).limit(limit))]


def send_again(connection: Connection, message_id: UUID) -> None:
    """Make a message due again, with the same id."""
    again = {"state": State.WAITING, "failures": 0, "next_attempt_at": func.now(), "finished_at": None}
    connection.execute(update(OUTBOX).where(OUTBOX.c.id == message_id).values(**again))


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
            {(row.channel, row.state): row.number for row in rows},
        ),
        Figure(
            "outbox_oldest_waiting_seconds",
            "Age of the oldest waiting message in seconds, by channel.",
            ("channel",),
            {(row.channel,): row.age for row in rows if row.state == State.WAITING},
        ),
    ]


def _message(row: Row[Any]) -> Message:
    values = {column.name: row._mapping[column.name] for column in COLUMNS}
    return Message(**{**values, "state": State(row.state)})
