"""The three tiers of tests: which tests run together in one process, and how long each tier took.

`make test-fast` runs what needs no running shop, `make test` that and the tests marked `shop`, and
`make test-all` those marked `long` as well. Each worker tests one file after the other. All tests of an
`xdist_group` run in one worker, because they break what they stand on, or share what is dear.
"""

import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable

import hypothesis
import pytest
from xdist.scheduler import LoadGroupScheduling

BUDGETS = {"fast": 120, "shop": 600, "long": 2700}  # Seconds for a tier together with those before it.
SLOWEST = 10


class FileOrGroupScheduling(LoadGroupScheduling):
    """Give a worker a whole group, or else a whole file, so that fixtures of a module are made once."""

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]


class Times:
    """What each test took, its fixtures included, as the process sees it to which all workers report."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.began = time.monotonic()
        self.seconds: Counter[str] = Counter()
        self.tiers: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the set-up, the call and the end of a test; name one that fails at once."""
        self.seconds[report.nodeid] += report.duration
        self.tiers[report.nodeid] = tier_of(report.keywords)
        if report.failed:
            self.write(f"\n{report.nodeid} failed in its {report.when}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the slowest tests, and each tier's time beside its budget."""
        write = terminalreporter.write_line
        terminalreporter.section(f"{SLOWEST} slowest tests, and time of each tier", "-")
        for nodeid, seconds in self.seconds.most_common(SLOWEST):
            write(f"{seconds:7.1f} s  {nodeid}")
        took = time.monotonic() - self.began
        totals: dict[str, list[float]] = defaultdict(list)
        for nodeid, seconds in self.seconds.items():
            totals[self.tiers[nodeid]].append(seconds)
        for tier in (tier for tier in BUDGETS if tier in totals):
            write(f"{sum(totals[tier]):7.0f} s of work in {len(totals[tier])} tests of the tier {tier}")
            budget = BUDGETS[tier]
        if totals:
            left_out = {"fast": "shop or long", "shop": "long", "long": ""}[tier]
            if left_out:
                write(f"left out: tests marked {left_out}; `make test-all` runs every test")
            write(f"{took:7.0f} s from beginning to end; the budget on two cores is {budget} s")


def tier_of(keywords: object) -> str:
    """Return the tier of a test, by its markers."""
    return next((tier for tier in ("long", "shop") if tier in keywords), "fast")  # type: ignore[operator]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileOrGroupScheduling:
    """Schedule by file or group."""
    return FileOrGroupScheduling(config, log)  # type: ignore[arg-type]


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Begin to take the time, and let children have the signals that a terminal's user expects."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not hasattr(config, "workerinput") and reporter is not None:
        config.pluginmanager.register(Times(reporter.write_line))
    # By default an example that takes 0.2 s fails, which on a busy machine says nothing about the code.
    hypothesis.settings.register_profile("any machine", deadline=None)
    hypothesis.settings.load_profile("any machine")
    # nohup ignores SIGHUP, and all that a test starts would inherit that. A child does not inherit a handler.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first, so that no worker begins with it when the others are done."""
    sizes = Counter(_unit_of(item) for item in items)
    ranks: dict[str, int] = {}
    for item in items:
        unit, rank = _unit_of(item), ["long", "shop", "fast"].index(tier_of(item.keywords))
        ranks[unit] = min(ranks.get(unit, rank), rank)

    # The shops take their time to start; one worker has results to show meanwhile.
    opener = max((unit for unit in ranks if ranks[unit] == 2), key=lambda unit: sizes[unit], default="")

    def rank(item: pytest.Item) -> tuple[bool, int, bool, int, str]:
        unit = _unit_of(item)
        return unit != opener, ranks[unit], unit.endswith(".py"), -sizes[unit], unit

    items.sort(key=rank)


def _unit_of(item: pytest.Item) -> str:
    """Return the group or file whose tests one worker runs."""
    group = item.get_closest_marker("xdist_group")
    return str(group.args[0]) if group else item.nodeid.partition("::")[0]
