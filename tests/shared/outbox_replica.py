"""A process with a courier that sends by HTTP; tests kill it at any moment, or at a named point."""

import http.client
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Any
from uuid import UUID, uuid4

from shared import courier, outbox
from shared.app import build_app
from shared.courier import Courier
from shared.database import connect
from shared.outbox import Attempt, Message, Verdict
from shared.settings import ServiceSettings
from tests.fakes import FakeAuth
from tests.shared.outboxes import CHANNEL

# Its children need no second import of the program.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload([__name__])
# Between two of these points a kill has the same effect.
STEPS = ("claim_endpoints", "read_due_messages", "send", "record_attempt", "release_endpoint")
POINTS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]


class HttpChannel:
    """Posts messages to a receiver on this machine."""

    rate: int | None = None
    patience: timedelta | None = None
    erases_secrets = False

    def __init__(self, port: int, mark: str) -> None:
        self._port = port
        self._mark = mark
        self.send: Callable[[Message], Attempt] = self._post

    @contextmanager
    def open(self, endpoint: str) -> Iterator[Callable[[Message], Attempt]]:  # noqa: ARG002
        """Return what posts a message."""
        yield self.send

    def give_up(self, endpoint: str) -> None:
        """Do nothing."""

    def _post(self, message: Message) -> Attempt:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        body = {
            "id": str(message.id),
            "endpoint": message.endpoint,
            "subject": message.subject,
            "replica": self._mark,
            **message.data,
        }
        try:
            connection.request("POST", "/", json.dumps(body))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return Attempt(Verdict.UNREACHABLE, {"error": str(error)})
        finally:
            connection.close()
        return Attempt(Verdict.SENT if status == 200 else Verdict.FAILED, {"status": status})


def start_replica(database_url: str, port: int, *, mark: str = "", dies: str | None = None) -> Any:
    """Start a process that sends to the receiver on a port; `mark` begins the tokens of its leases."""
    process = SERVER.Process(target=_run, args=(database_url, port, mark, dies), daemon=True)
    process.start()
    return process


def _run(database_url: str, port: int, mark: str, dies: str | None) -> None:
    courier.LOOK_EVERY = 0.01
    outbox.FIRST_WAIT = outbox.LONGEST_WAIT = outbox.LONGEST_PAUSE = timedelta(milliseconds=10)
    outbox.uuid4 = lambda: UUID(mark + uuid4().hex[len(mark) :])  # type: ignore[attr-defined]
    channel = HttpChannel(port, mark)
    if dies:
        when, step = dies.split(" ")
        owner = channel if step == "send" else outbox
        setattr(owner, step, _die(getattr(owner, step), when=when))
    settings = ServiceSettings(service="orders-service", instance="replica", database_url=database_url)
    app = build_app(settings, title="Test", database=connect(settings), auth=FakeAuth())
    Courier(app, app.database, {CHANNEL: channel})
    time.sleep(600)


def _die(step: Callable[..., Any], *, when: str) -> Callable[..., Any]:
    """Return a step that kills this process before or after it has done something."""

    @wraps(step)
    def die(*given: Any, **named: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = step(*given, **named)
        # A poll without a claim is no step.
        if result or step.__name__ == "release_endpoint":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return die
