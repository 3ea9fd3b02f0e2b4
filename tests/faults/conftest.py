"""Fixtures: a shop with fault points that the tests may break. One worker has it to itself."""

from collections.abc import Iterator

import pytest

from tests.conftest import COMPOSE
from tests.faults.points import FOLDER, Points
from tests.groups import until_group_ends
from tests.stacks import ProcessStack, Stack, stop_and_leave_no_process


@pytest.fixture(scope="session")
def points(tmp_path_factory: pytest.TempPathFactory) -> Points:
    """The fault points of the stack."""
    return Points(tmp_path_factory.mktemp("points") / "points")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory, points: Points) -> Iterator[ProcessStack]:
    """A stack with fault points, for the tests of the group `faults`."""
    stack = ProcessStack(
        tmp_path_factory.mktemp("faults") / "state",
        module="tests.faults.launch",
        RATE_LIMITS="off",
        **{FOLDER: str(points.folder)},
    )
    stack.start()
    with until_group_ends(lambda: stop_and_leave_no_process(stack)):
        yield stack


@pytest.fixture(params=[pytest.param("shop", marks=pytest.mark.xdist_group("faults")), COMPOSE])
def breakable(request: pytest.FixtureRequest) -> Stack:
    """Each of the two stacks in turn; a test may break it."""
    return request.getfixturevalue(request.param)
