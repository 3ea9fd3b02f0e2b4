"""An outbox on a real database, channels that behave as a test says, and replicas that send through them."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from shared import outbox
from shared.database import Database
from shared.outbox import Attempt, Claim, Message, NewMessage, Verdict

CHANNEL = "test"
SENT, FAILED = Attempt(Verdict.SENT), Attempt(Verdict.FAILED, {"error": "not now"})


class Outbox:
    """The outbox of a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def add_endpoints(self, *names: str) -> None:
        """Add endpoints of the test's channel."""
        for name in names:
            self.sql("INSERT INTO outbox_endpoints (name, channel) VALUES (:name, 'test')", name=name)

    def add(self, endpoint: str, subject: str, number: int = 1, **more: Any) -> UUID:
        """Record a message."""
        message = NewMessage(CHANNEL, endpoint, subject, "thing.done", {"number": number}, **more)
        with self.database.transaction() as connection:
            return outbox.insert_message(connection, message)

    def add_many(self, endpoint: str, subjects: int, each: int = 1) -> None:
        """Record messages numbered from 1 about each of some subjects."""
        self.sql(
            "INSERT INTO outbox (channel, endpoint, subject, kind, data)"
            " SELECT 'test', :endpoint, 'subject-' || subject, 'thing.done',"
            " jsonb_build_object('number', number)"
            " FROM generate_series(1, :each) AS number, generate_series(1, :subjects) AS subject",
            endpoint=endpoint,
            subjects=subjects,
            each=each,
        )

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run a statement; return its rows."""
        with self.database.transaction() as connection:
            done = connection.execute(text(statement), values)
            return list(done) if done.returns_rows else []

    def claim(self, most: int = 8, most_failing: int = 8) -> list[Claim]:
        """Lease endpoints, as a replica does."""
        with self.database.autocommit() as connection:
            return outbox.claim_endpoints(connection, [CHANNEL], most, most_failing)

    def read_due(self, claim: Claim, most: int = 20) -> list[Message]:
        """Return the messages that a leased endpoint may receive."""
        with self.database.autocommit() as connection:
            messages, _has_more = outbox.read_due_messages(connection, claim, most)
        return messages

    def record(
        self, claim: Claim, message: Message, attempt: Attempt = SENT, **more: Any
    ) -> outbox.Standing | None:
        """Record an attempt."""
        with self.database.autocommit() as connection:
            return outbox.record_attempt(
                connection, claim, message, attempt, **{"patience": None, "erases_secret": False, **more}
            )

    def release(self, claim: Claim) -> None:
        """Release a lease."""
        with self.database.autocommit() as connection:
            outbox.release_endpoint(connection, claim)

    def attempt(self, *attempts: Attempt) -> list[str]:
        """Claim the only due endpoint, attempt its due messages, and release it; return their subjects."""
        [claim] = self.claim()
        messages = self.read_due(claim)
        for message, attempt in zip(messages, attempts, strict=True):
            self.record(claim, message, attempt)
        self.release(claim)
        return [name(message) for message in messages]

    def find(self, message_id: UUID) -> Message:
        """Return a message."""
        with self.database.autocommit() as connection:
            found = outbox.find_message(connection, message_id)
        assert found is not None
        return found

    def count(self, state: str = "waiting") -> int:
        """Return the number of messages in a state."""
        return int(self.sql("SELECT count(*) FROM outbox WHERE state = :state", state=state)[0][0])

    def make_due(self) -> None:
        """End all waits and pauses."""
        self.sql("UPDATE outbox SET next_attempt_at = now() WHERE state = 'waiting'")
        self.sql("UPDATE outbox_endpoints SET paused_until = now()")

    def expire_leases(self) -> None:
        """Let the time of all leases pass."""
        self.sql("UPDATE outbox_endpoints SET lease_until = now() - interval '1 second'")


def name(message: Message) -> str:
    """Return a short name of a message: its subject and number."""
    return f"{message.subject}{message.data['number']}"


class FakeChannel:
    """A channel that records what it sends, and how many sends run at the same time."""

    def __init__(self, answer: Callable[[Message], Attempt] = lambda _message: SENT) -> None:
        self.rate: int | None = None
        self.patience: timedelta | None = None
        self.erases_secrets = False
        self.answer = answer
        self.before_open: Callable[[str], None] = lambda _endpoint: None
        self.sends: list[Message] = []
        self.times: list[float] = []
        self.given_up: list[str] = []
        self.opened: Counter[str] = Counter()
        self.active: Counter[str] = Counter()
        self.most_active = 0
        self.overlaps: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def open(self, endpoint: str) -> Iterator[Callable[[Message], Attempt]]:
        """Return what sends messages to the endpoint."""
        self.before_open(endpoint)
        self.opened[endpoint] += 1
        yield self._send

    def give_up(self, endpoint: str) -> None:
        """Record that the endpoint is switched off."""
        self.given_up.append(endpoint)

    def _send(self, message: Message) -> Attempt:
        with self._lock:
            self.sends.append(message)
            self.times.append(time.monotonic())
            self.active[message.endpoint] += 1
            self.most_active = max(self.most_active, self.active.total())
            if self.active[message.endpoint] > 1:
                self.overlaps.append(message.endpoint)
        try:
            return self.answer(message)
        finally:
            with self._lock:
                self.active[message.endpoint] -= 1

    def numbers(self) -> dict[tuple[str, str], list[int]]:
        """Return the numbers of the sent messages of each subject of each endpoint, in their order."""
        found: dict[tuple[str, str], list[int]] = defaultdict(list)
        for message in list(self.sends):
            found[message.endpoint, message.subject].append(message.data["number"])
        return dict(found)
