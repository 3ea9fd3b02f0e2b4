"""Background threads of a service."""

import logging
import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

log = logging.getLogger(__name__)

PATIENCE = 5.0  # Seconds that a round may take to finish at shutdown.


class Background:
    """Tasks that run repeatedly until the service stops.

    Every replica runs them. A task that must not run twice at once coordinates through the database.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._rounds = Counter(
            "background_task_rounds", "Rounds of a task, by outcome.", ["task", "outcome"], registry=registry
        )
        self._succeeded_at = Gauge(
            "background_task_last_success_timestamp_seconds",
            "Time of a task's last successful round.",
            ["task"],
            registry=registry,
        )
        # Set when shutdown begins. Long-lived responses, such as event streams, must end then.
        self.stopping = threading.Event()
        self._nudges: dict[str, list[threading.Event]] = {}
        self._threads: list[threading.Thread] = []
        self._once: set[threading.Thread] = set()

    def repeat(
        self,
        task: Callable[[], object],
        *,
        every: float,
        name: str,
        nudged: bool = True,
        until_end: bool = False,
    ) -> None:
        """Run `task` now and then every `every` seconds, in a thread of its own.

        If `nudged`, a nudge starts the next round early. With `until_end`, the last round starts after
        shutdown has begun, so that it sees all earlier work.
        """
        nudge = threading.Event() if nudged else self.stopping
        if nudged:
            self._nudges.setdefault(name, []).append(nudge)
        thread = threading.Thread(
            target=self._repeat, args=(task, every, name, nudge, until_end), name=name, daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def start(self, task: Callable[[], object], *, name: str) -> None:
        """Run `task` once, in a thread of its own. The task ends early once `stopping` is set."""

        def run() -> None:
            try:
                task()
            finally:
                self._once.discard(thread)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._once.add(thread)
        thread.start()

    def nudge(self, *names: str) -> None:
        """Start the next round of these tasks, or of all tasks: now, or after the round in progress."""
        for name in names or [*self._nudges]:
            for nudge in self._nudges[name]:
                nudge.set()

    def stop(self) -> None:
        """Wait for every task to finish its round in progress, and start no further rounds."""
        self.stopping.set()
        self.nudge()
        for thread in self._threads:
            thread.join(PATIENCE)
        # Only now, because the last rounds may have started some of these.
        for thread in [*self._once]:
            thread.join(PATIENCE)

    def _repeat(
        self, task: Callable[[], object], every: float, name: str, nudge: threading.Event, until_end: bool
    ) -> None:
        while True:
            if nudge is not self.stopping:
                # Cleared before the round, so that a nudge during the round starts another one.
                nudge.clear()
            is_last = self.stopping.is_set()
            if is_last and not until_end:
                return
            try:
                task()
                self._rounds.labels(name, "success").inc()
                self._succeeded_at.labels(name).set_to_current_time()
            except Exception:
                # The failure may be temporary, so the thread must survive it.
                self._rounds.labels(name, "failure").inc()
                log.exception("The background task %s failed", name)
            if is_last:
                return
            nudge.wait(every)
