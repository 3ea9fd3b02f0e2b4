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
        self._nudged = threading.Condition()
        self._threads: list[threading.Thread] = []

    def repeat(self, task: Callable[[], object], *, every: float, name: str, nudged: bool = True) -> None:
        """Run `task` now and every so many seconds, in a thread of its own; if `nudged`, at a nudge, too."""
        wait = self._wait_nudged if nudged else self.stopping.wait
        thread = threading.Thread(target=self._repeat, args=(task, every, name, wait), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def nudge(self) -> None:
        """Begin the next round of every nudged task that is waiting for its time."""
        with self._nudged:
            self._nudged.notify_all()

    def stop(self) -> None:
        """Let every task finish the round that it is in, and start no other."""
        self.stopping.set()
        self.nudge()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _repeat(
        self, task: Callable[[], object], every: float, name: str, wait: Callable[[float], object]
    ) -> None:
        while not self.stopping.is_set():
            try:
                task()
                self._rounds.labels(name, "success").inc()
                self._succeeded_at.labels(name).set_to_current_time()
            except Exception:
                # The next round may find the database back; the thread must live to see it.
                self._rounds.labels(name, "failure").inc()
                log.exception("The background task %s failed", name)
            wait(every)

    def _wait_nudged(self, seconds: float) -> None:
        with self._nudged:
            if not self.stopping.is_set():
                self._nudged.wait(seconds)
