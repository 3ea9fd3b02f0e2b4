"""Messages of an outbox that are tasks of the service itself.

A route that must answer every caller equally fast, whether or not there is such an account, records a task
and does the rest after its answer.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from shared import outbox
from shared.courier import Send
from shared.database import Connection, Database
from shared.outbox import Attempt, Message, NewMessage, Verdict

CHANNEL = "task"
ENDPOINT = "task"
Task = Callable[[Connection, Message], object]


class TaskChannel:
    """Runs tasks by the kind of their message, each once, in a transaction that also deletes the message."""

    rate: int | None = None
    patience: timedelta | None = None
    erases_secrets = False

    def __init__(self, database: Database, tasks: Mapping[str, Task]) -> None:
        self._database = database
        self._tasks = tasks

    @contextmanager
    def open(self, endpoint: str) -> Iterator[Send]:  # noqa: ARG002  # There is one.
        """Return what runs a task."""
        yield self._run

    def give_up(self, endpoint: str) -> None:
        """Do nothing: tasks are never switched off."""

    def _run(self, message: Message) -> Attempt:
        with self._database.transaction() as connection:
            # Another thread may have run it, and lost its lease before it could say so.
            if outbox.delete_message(connection, message.id):
                self._tasks[message.kind](connection, message)
        return Attempt(Verdict.SENT)


def insert_task(connection: Connection, kind: str, subject: str, data: Mapping[str, object]) -> None:
    """Record a task; tasks of one subject run in their order."""
    outbox.insert_message(connection, NewMessage(CHANNEL, ENDPOINT, subject, kind, data))
