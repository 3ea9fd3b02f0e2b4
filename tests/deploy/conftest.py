"""The order of the tests that turn the Docker engine into a Swarm."""

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the Swarm tests first, so that the Swarm ends before a container of this run starts.

    All tests that start containers are in the group `compose`, so one worker runs them in this order.
    """
    items.sort(key=lambda item: item.path.name != "test_swarm.py")
