"""Send the messages of an outbox: background threads that every replica runs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Protocol

from prometheus_client import Counter

from shared import context, outbox
from shared.app import ServiceFlask
from shared.context import Context
from shared.database import Database
from shared.errors import DatabaseUnavailable
from shared.metrics import Figure
from shared.outbox import Attempt, Claim, Message, Standing, Verdict

log = logging.getLogger(__name__)

TASK = "send-outbox"
LOOK_EVERY = 1.0  # Seconds between two polls for due messages.
MOST_SENDS = 8  # Endpoints that a process sends to at the same time.
MOST_FAILING = 4  # Of them, those that did not respond last time.
BATCH, TURN = 20, 10.0  # Messages and seconds after which another endpoint has its turn.
EMPTY_PAUSE = timedelta(seconds=1)  # Of an endpoint without a message that may be sent now.
FAULT_PAUSE = timedelta(seconds=30)  # Of an endpoint that this process could not serve.
RECORD_AGAIN = 0.5  # Seconds until an attempt is recorded again, if the database did not respond.
LOGGED = frozenset({"server", "status", "milliseconds", "error"})  # Not what an endpoint answers.
Send = Callable[[Message], Attempt]


class Channel(Protocol):
    """A kind of endpoint."""

    # Messages per minute, if limited.
    rate: int | None
    # How long an endpoint may accept nothing before it is switched off.
    patience: timedelta | None
    # Whether the token in a sent message is erased.
    erases_secrets: bool

    def open(self, endpoint: str) -> AbstractContextManager[Send]:
        """Return what sends messages to the endpoint. Connecting is a part of the first attempt.

        An attempt takes at most `outbox.LONGEST_SEND`.
        """

    def give_up(self, endpoint: str) -> None:
        """Tell the owner of an endpoint that it is switched off; again, if the process ends meanwhile."""


class Courier:
    """Sends due messages through the channels, at most eight at a time."""

    def __init__(self, app: ServiceFlask, database: Database, channels: Mapping[str, Channel]) -> None:
        self._database = database
        self._channels = channels
        self._background = app.background
        self._slots = threading.Semaphore(MOST_SENDS)
        self._failing_slots = threading.Semaphore(MOST_FAILING)
        self._is_busy = False  # More endpoints may have messages than there were free threads.
        self._attempts = Counter(
            "outbox_attempts",
            "Attempts to send a message, by channel and result.",
            ["channel", "result"],
            registry=app.metrics.registry,
        )
        for channel in channels:
            for verdict in Verdict:
                self._attempts.labels(channel, verdict)
        app.extensions["courier"] = self
        app.metrics.ask(self._read_figures)
        app.background.repeat(self.send_due_messages, every=LOOK_EVERY, name=TASK)

    def send_due_messages(self) -> None:
        """Start to send to every endpoint that has a due message, as far as there are free threads."""
        free, free_for_failing = _take_all(self._slots), _take_all(self._failing_slots)
        claims: list[Claim] = []
        try:
            if free and not self._background.stopping.is_set():
                # Before the statement, so that this process never believes in a lease that has expired.
                leased_at = time.monotonic()
                with self._database.autocommit() as connection:
                    claims = outbox.claim_endpoints(connection, list(self._channels), free, free_for_failing)
            self._is_busy = (
                len(claims) == free or sum(each.failures > 0 for each in claims) == free_for_failing
            )
            while claims:
                claim = claims[-1]
                serve = partial(self._serve, claim, leased_at)
                self._background.start(serve, name=f"{TASK}-{claim.channel}")
                claims.pop()
                free -= 1
                free_for_failing -= claim.failures > 0
        finally:
            for slots, number in ((self._slots, free), (self._failing_slots, free_for_failing)):
                if number:
                    slots.release(number)

    def _serve(self, claim: Claim, leased_at: float) -> None:
        """Send a batch to an endpoint under a lease."""
        context.enter(Context())
        channel = self._channels[claim.channel]
        pause, has_more = timedelta(), False
        try:
            messages, has_more, pause = self._read_batch(claim, channel)
            if messages:
                with channel.open(claim.endpoint) as send:
                    self._send(claim, channel, messages, send, leased_at)
        except DatabaseUnavailable as away:
            log.warning("Messages to %s wait for the database: %s", claim.endpoint, away)
        except Exception:
            log.exception("Sending to %s failed", claim.endpoint)
            pause = FAULT_PAUSE
        finally:
            if claim.failures:
                self._failing_slots.release()
            self._slots.release()
            self._release(claim, pause)
            # The messages of a quiet shop wait for the next poll, so that one batch has several.
            if has_more or self._is_busy:
                self._background.nudge(TASK)
            context.leave()

    def _read_batch(self, claim: Claim, channel: Channel) -> tuple[list[Message], bool, timedelta]:
        """Return the messages to send now, whether more are due, and the pause of an endpoint without any."""
        most = BATCH
        with self._database.autocommit() as connection:
            if channel.rate is not None:
                allowed, wait = outbox.read_allowance(connection, claim.endpoint, channel.rate)
                if not allowed:
                    return [], False, wait
                most = min(BATCH, allowed)
            messages, has_more = outbox.read_due_messages(connection, claim, most)
        return messages, has_more, timedelta() if messages else EMPTY_PAUSE

    def _send(
        self, claim: Claim, channel: Channel, messages: list[Message], send: Send, leased_at: float
    ) -> None:
        turn_ends = time.monotonic() + TURN
        safe = (outbox.LEASE - outbox.LONGEST_SEND).total_seconds()
        for message in messages:
            began = time.monotonic()
            if self._background.stopping.is_set() or began > min(turn_ends, leased_at + safe):
                return
            attempt = _try(send, message)
            leased_at = time.monotonic()
            attempt = replace(attempt, log={"milliseconds": round((leased_at - began) * 1000), **attempt.log})
            self._attempts.labels(claim.channel, attempt.verdict).inc()
            if not self._conclude(claim, channel, message, attempt):
                return
            # It has responded.
            claim = replace(claim, failures=0)

    def _conclude(self, claim: Claim, channel: Channel, message: Message, attempt: Attempt) -> bool:
        """Record an attempt; return whether the endpoint may receive the next message."""
        standing = self._record(claim, channel, message, attempt)
        level = logging.INFO if attempt.verdict in outbox.TAKEN else logging.WARNING
        described = {"outbox.message": str(message.id), "outbox.kind": message.kind}
        described |= {name: value for name, value in attempt.log.items() if name in LOGGED}
        log.log(level, "Message to %s: %s", claim.endpoint, attempt.verdict, extra=described)
        if standing is None:
            log.warning("This replica no longer sends to %s: it was taken over or ended", claim.endpoint)
            return False
        if standing.is_overdue:
            log.error("The endpoint %s is switched off: %s", claim.endpoint, attempt.log.get("error"))
            # In this order, so that its owner learns it also if this process is killed in between.
            channel.give_up(claim.endpoint)
            with self._database.autocommit() as connection:
                outbox.switch_off_endpoint(connection, claim)
            return False
        return standing.is_active and attempt.verdict is not Verdict.UNREACHABLE and not attempt.pause

    def _record(self, claim: Claim, channel: Channel, message: Message, attempt: Attempt) -> Standing | None:
        """Record an attempt; wait for the database while the lease lasts, or the message is sent twice."""
        deadline = time.monotonic() + (outbox.LEASE - outbox.LONGEST_SEND).total_seconds()
        while True:
            try:
                with self._database.autocommit() as connection:
                    return outbox.record_attempt(
                        connection,
                        claim,
                        message,
                        attempt,
                        patience=channel.patience,
                        erases_secret=channel.erases_secrets,
                        rate=channel.rate,
                    )
            except DatabaseUnavailable:
                if time.monotonic() > deadline or self._background.stopping.wait(RECORD_AGAIN):
                    raise

    def _release(self, claim: Claim, pause: timedelta) -> None:
        # Without the database, the lease expires.
        with suppress(DatabaseUnavailable), self._database.autocommit() as connection:
            outbox.release_endpoint(connection, claim, pause)

    def _read_figures(self) -> list[Figure]:
        with self._database.autocommit() as connection:
            return outbox.read_figures(connection)


def _take_all(slots: threading.Semaphore) -> int:
    """Take every free slot; return how many."""
    number = 0
    while slots.acquire(blocking=False):
        number += 1
    return number


def _try(send: Send, message: Message) -> Attempt:
    try:
        return send(message)
    except Exception as error:
        # A message that cannot be made, for example because of an owner's template, delays no other.
        log.exception("The message %s could not be made", message.id)
        return Attempt(Verdict.FAILED, {"error": f"{error.__class__.__name__}: {error}"[:500]})
