"""Which engines the tests of a deployment on Swarm leave alone."""

from tests.deploy.swarm_stack import find_obstacle


def test_an_engine_in_a_swarm_or_with_containers_is_left_alone_unless_that_is_demanded() -> None:
    assert find_obstacle("inactive", [], forced=False) is None
    assert "(shop-gateway-1, shop-postgres-1)" in (
        find_obstacle("inactive", ["shop-postgres-1", "shop-gateway-1"], forced=False) or ""
    )
    assert find_obstacle("inactive", ["shop-gateway-1"], forced=True) is None
    for state in ("active", "pending", "locked", "error"):
        for forced in (False, True):
            assert "belongs to a Swarm" in (find_obstacle(state, [], forced=forced) or "")
