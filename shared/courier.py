"""Send the messages of an outbox: background threads that every replica runs."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
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
from shared.outbox import Attempt, Claim, Message, Verdict

log = logging.getLogger(__name__)

TASK = "send-outbox"
LOOK_EVERY = 1.0  # Seconds between two polls for due messages.
MOST_SENDS = 8  # Endpoints that a process sends to at the same time.
BATCH = 20  # Messages to an endpoint before another endpoint has its turn.
RATE_PAUSE = timedelta(seconds=1)  # Of an endpoint that received as much as its rate allows.
FAULT_PAUSE = timedelta(seconds=30)  # Of an endpoint that this process could not serve.
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
        """Return what sends messages to the endpoint. Connecting is a part of the first attempt."""

    def give_up(self, endpoint: str) -> None:
        """Tell the owner of an endpoint that it was switched off."""


class Courier:
    """Sends due messages through the channels, at most eight at a time."""

    def __init__(self, app: ServiceFlask, database: Database, channels: Mapping[str, Channel]) -> None:
        self._database = database
        self._channels = channels
        self._background = app.background
        self._slots = threading.Semaphore(MOST_SENDS)
        self._attempts = Counter(
            "outbox_attempts",
            "Attempts to send a message, by channel and result.",
            ["channel", "result"],
            registry=app.metrics.registry,
        )
        app.metrics.ask(self._read_figures)
        app.background.repeat(self.send_due_messages, every=LOOK_EVERY, name=TASK)

    def send_due_messages(self) -> None:
        """Start to send to every endpoint that has a due message, as far as there are free threads."""
        free = 0
        while self._slots.acquire(blocking=False):
            free += 1
        claims: list[Claim] = []
        try:
            if free and not self._background.stopping.is_set():
                with self._database.autocommit() as connection:
                    claims = outbox.claim_endpoints(connection, list(self._channels), free)
            for claim in claims:
                self._background.start(partial(self._serve, claim), name=f"{TASK}-{claim.channel}")
        finally:
            for _ in range(free - len(claims)):
                self._slots.release()

    def _serve(self, claim: Claim) -> None:
        """Send a batch to an endpoint under a lease, then look for more."""
        context.enter(Context())
        channel = self._channels[claim.channel]
        pause = timedelta()
        try:
            messages = self._read_batch(claim, channel)
            if messages:
                self._send(claim, channel, messages)
            else:
                pause = RATE_PAUSE
        except DatabaseUnavailable as away:
            log.warning("Messages to %s wait for the database: %s", claim.endpoint, away)
        except Exception:
            log.exception("Sending to %s failed", claim.endpoint)
            pause = FAULT_PAUSE
        finally:
            self._slots.release()
            self._release(claim, pause)
            context.leave()

    def _read_batch(self, claim: Claim, channel: Channel) -> list[Message]:
        with self._database.autocommit() as connection:
            most = BATCH
            if channel.rate is not None:
                most = min(BATCH, channel.rate - outbox.count_recent_attempts(connection, claim.endpoint))
            return outbox.read_due_messages(connection, claim.endpoint, most) if most > 0 else []

    def _send(self, claim: Claim, channel: Channel, messages: list[Message]) -> None:
        with channel.open(claim.endpoint) as send:
            for message in messages:
                if self._background.stopping.is_set():
                    return
                began = time.monotonic()
                attempt = _try(send, message)
                took = round((time.monotonic() - began) * 1000)
                attempt = replace(attempt, log={"milliseconds": took, **attempt.log})
                self._attempts.labels(claim.channel, attempt.verdict).inc()
                claim = replace(
                    claim, failures=claim.failures if attempt.verdict is Verdict.UNREACHABLE else 0
                )
                if not self._record(claim, channel, message, attempt):
                    return

    def _record(self, claim: Claim, channel: Channel, message: Message, attempt: Attempt) -> bool:
        """Record an attempt; return whether the endpoint may receive the next message."""
        with self._database.autocommit() as connection:
            active = outbox.record_attempt(
                connection,
                claim,
                message,
                attempt,
                patience=channel.patience,
                erases_secret=channel.erases_secrets,
            )
        level = logging.INFO if attempt.verdict in outbox.TAKEN else logging.WARNING
        described = {"outbox.message": str(message.id), "outbox.kind": message.kind}
        described |= {name: value for name, value in attempt.log.items() if name in LOGGED}
        log.log(level, "Message to %s: %s", claim.endpoint, attempt.verdict, extra=described)
        if active is None:
            log.warning("This replica no longer sends to %s: it was taken over or ended", claim.endpoint)
        elif not active:
            log.error("The endpoint %s is switched off: %s", claim.endpoint, attempt.log.get("error"))
            channel.give_up(claim.endpoint)
        return bool(active) and attempt.verdict is not Verdict.UNREACHABLE and not attempt.pause

    def _release(self, claim: Claim, pause: timedelta) -> None:
        try:
            with self._database.autocommit() as connection:
                outbox.release_endpoint(connection, claim, pause)
        except DatabaseUnavailable:
            return  # The lease expires.
        if not pause:
            self._background.nudge(TASK)

    def _read_figures(self) -> list[Figure]:
        with self._database.autocommit() as connection:
            return outbox.read_figures(connection)


def _try(send: Send, message: Message) -> Attempt:
    try:
        return send(message)
    except Exception as error:
        # A message that cannot be made, for example because of an owner's template, delays no other.
        log.exception("The message %s could not be made", message.id)
        return Attempt(Verdict.FAILED, {"error": f"{error.__class__.__name__}: {error}"[:500]})
