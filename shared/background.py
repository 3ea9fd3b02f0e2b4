"""A service's own threads, for work that no request waits for."""

import logging
import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

log = logging.getLogger(__name__)

PATIENCE = 5.0  # Seconds that a round may take to end when the service does.


class Background:
    """Tasks that are repeated until the service ends.

    Any number of replicas may repeat the same: the task itself makes sure of its turn, in the database.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._rounds = Counter(
            "background_task_rounds", "Rounds of a task, by outcome.", ["task", "outcome"], registry=registry
        )
        self._succeeded_at = Gauge(
            "background_task_last_success_timestamp_seconds",
            "When a task last came through a round.",
            ["task"],
            registry=registry,
        )
        # Set when the service begins to stop: whatever goes on without end has to end.
        self.stopping = threading.Event()
        self._nudges: dict[str, list[threading.Event]] = {}
        self._threads: list[threading.Thread] = []

    def repeat(
        self,
        task: Callable[[], object],
        *,
        every: float,
        name: str,
        nudged: bool = True,
        until_end: bool = False,
    ) -> None:
        """Run `task` now and every so many seconds, in a thread of its own.

        If `nudged`, a nudge begins the next round, too. With `until_end` the last round begins after the
        service has begun to stop, so that it sees all that was done before.
        """
        nudge = threading.Event() if nudged else self.stopping
        if nudged:
            self._nudges.setdefault(name, []).append(nudge)
        thread = threading.Thread(
            target=self._repeat, args=(task, every, name, nudge, until_end), name=name, daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def nudge(self, *names: str) -> None:
        """Begin the next round of these tasks, or of all: now, or once their round under way has ended."""
        for name in names or [*self._nudges]:
            for nudge in self._nudges[name]:
                nudge.set()

    def stop(self) -> None:
        """Let every task finish the round that it is in, and start no other."""
        self.stopping.set()
        self.nudge()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _repeat(
        self, task: Callable[[], object], every: float, name: str, nudge: threading.Event, until_end: bool
    ) -> None:
        while True:
            if nudge is not self.stopping:
                # Before the round, so that a nudge during the round begins another one.
                nudge.clear()
            is_last = self.stopping.is_set()
            if is_last and not until_end:
                return
            try:
                task()
                self._rounds.labels(name, "success").inc()
                self._succeeded_at.labels(name).set_to_current_time()
            except Exception:
                # The next round may find the database back; the thread must live to see it.
                self._rounds.labels(name, "failure").inc()
                log.exception("The background task %s failed", name)
            if is_last:
                return
            nudge.wait(every)
