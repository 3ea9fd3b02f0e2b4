"""The tests of a deployment on Swarm do not touch an engine that is in use."""

from tests.deploy.swarm_stack import find_obstacle


def test_an_engine_with_a_swarm_or_containers_is_not_touched_unless_forced() -> None:
    assert find_obstacle("inactive", [], forced=False) is None
    assert "(shop-gateway-1, shop-postgres-1)" in (
        find_obstacle("inactive", ["shop-postgres-1", "shop-gateway-1"], forced=False) or ""
    )
    assert find_obstacle("inactive", ["shop-gateway-1"], forced=True) is None
    for state in ("active", "pending", "locked", "error"):
        for forced in (False, True):
            assert "already belongs to a Swarm" in (find_obstacle(state, [], forced=forced) or "")
