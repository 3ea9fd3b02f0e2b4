"""The three tiers of tests: scheduling, and a report of the time of each tier.

`make test-fast` runs the tests that need no running shop, `make test` adds those marked `shop`, and `make
test-all` those marked `long`. A worker runs one file at a time. All tests of an `xdist_group` run in one
worker, because they break their shop, or share expensive fixtures.
"""

import gc
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from xdist.scheduler import LoadGroupScheduling

from tests.groups import end_group, unit_of

BUDGETS = {"fast": 120, "shop": 600, "long": 2700}  # Seconds for a tier and those before it.
SLOWEST = 10
QUICK_EXAMPLES = 40  # Of a property without a number of its own; the long tier checks a hundred.


class FileOrGroupScheduling(LoadGroupScheduling):
    """Gives a worker a whole group or file, so that module fixtures are created once."""

    def _split_scope(self, nodeid: str) -> str:
        return super()._split_scope(nodeid).partition("::")[0]


class Times:
    """The time of each test with its fixtures, collected in the main process."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
        self.began = time.monotonic()
        self.seconds: Counter[str] = Counter()
        self.tiers: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a test's phase; print a failure at once."""
        self.seconds[report.nodeid] += report.duration
        self.tiers[report.nodeid] = tier_of(report.keywords)
        if report.failed:
            self.write(f"\n{report.nodeid} failed during {report.when}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the slowest tests, and the time and budget of each tier."""
        write = terminalreporter.write_line
        terminalreporter.section(f"{SLOWEST} slowest tests, and the time of each tier", "-")
        for nodeid, seconds in self.seconds.most_common(SLOWEST):
            write(f"{seconds:7.1f} s  {nodeid}")
        took = time.monotonic() - self.began
        totals: dict[str, list[float]] = defaultdict(list)
        for nodeid, seconds in self.seconds.items():
            totals[self.tiers[nodeid]].append(seconds)
        for tier in (tier for tier in BUDGETS if tier in totals):
            write(f"{sum(totals[tier]):7.0f} s in {len(totals[tier])} tests of the tier {tier}")
            budget = BUDGETS[tier]
        if totals:
            left_out = {"fast": "shop or long", "shop": "long", "long": ""}[tier]
            if left_out:
                write(f"not run: tests marked {left_out}; `make test-all` runs every test")
            write(f"{took:7.0f} s in total; the budget on two cores is {budget} s")


def leaves_out_long(config: pytest.Config) -> bool:
    """Return whether the run leaves out the long tier."""
    return "not long" in str(config.getoption("markexpr"))


def tier_of(keywords: object) -> str:
    """Return the tier of a test, by its markers."""
    return next((tier for tier in ("long", "shop") if tier in keywords), "fast")  # type: ignore[operator]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileOrGroupScheduling:
    """Schedule by file or group."""
    return FileOrGroupScheduling(config, log)  # type: ignore[arg-type]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """Keep the garbage collector from the modules and the tests, which exist until the end of the run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop what only the tests of this group or file need."""
    if nextitem is None or unit_of(nextitem) != unit_of(item):
        end_group()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the timing, set up Hypothesis, and let child processes receive SIGHUP."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not hasattr(config, "workerinput") and reporter is not None:
        config.pluginmanager.register(Times(reporter.write_line))
    # By default an example fails if it takes 0.2 s, which happens on a busy machine.
    hypothesis.settings.register_profile("any machine", deadline=None)
    hypothesis.settings.register_profile("quick", deadline=None, max_examples=QUICK_EXAMPLES)
    hypothesis.settings.load_profile("quick" if leaves_out_long(config) else "any machine")
    # nohup ignores SIGHUP, and child processes would inherit that. They do not inherit a handler.
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Schedule the longest units first, so that no worker starts one when the others are finished."""
    sizes = Counter(unit_of(item) for item in items)
    ranks: dict[str, int] = {}
    for item in items:
        unit, rank = unit_of(item), ["long", "shop", "fast"].index(tier_of(item.keywords))
        ranks[unit] = min(ranks.get(unit, rank), rank)

    # The shops are slow to start; meanwhile one worker runs the largest fast file and reports results.
    opener = max((unit for unit in ranks if ranks[unit] == 2), key=lambda unit: sizes[unit], default="")

    def rank(item: pytest.Item) -> tuple[bool, int, bool, int, str]:
        unit = unit_of(item)
        return unit != opener, ranks[unit], unit.endswith(".py"), -sizes[unit], unit

    items.sort(key=rank)
