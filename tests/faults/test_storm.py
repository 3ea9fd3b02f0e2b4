"""Customers buy while parts are killed, paused, restarted or disconnected, without any harm.

The test prints its seed. STORM_SEED=… replays its faults and choices, STORM_SECONDS=… sets its length.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.customers import FINAL_WITHIN, Customer
from tests.faults.storm import run_storm
from tests.stacks import ComposeStack, ProcessStack, Stack, docker_or_skip
from tests.waiting import wait_for

pytestmark = [pytest.mark.shop, pytest.mark.timeout(1800)]

SHORT, LONG = 10.0, 60.0  # Seconds of a storm, in `make test` and in `make test-all`.
STORM = pytest.mark.xdist_group("storm")
REPLICAS = {"orders-service": 2, "payments-service": 2, "catalog-service": 2}


@pytest.fixture
def stormy_processes(tmp_path: Path) -> Iterator[ProcessStack]:
    """A process stack with two replicas of each service that takes part in a checkout."""
    scale = ",".join(f"{service}={number}" for service, number in REPLICAS.items())
    stack = ProcessStack(tmp_path / "state", SCALE=scale, RATE_LIMITS="off")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def stormy_compose() -> Iterator[ComposeStack]:
    """The same stack with Docker."""
    docker_or_skip()
    stack = ComposeStack(RATE_LIMITS="off")
    try:
        stack.start()
        stack.up(
            *(word for service, number in REPLICAS.items() for word in ("--scale", f"{service}={number}"))
        )
        yield stack
    finally:
        stack.stop()


def read_seconds(request: pytest.FixtureRequest) -> float:
    """Return the length of a test's storm in seconds."""
    usual = LONG if request.node.get_closest_marker("long") else SHORT
    return float(os.environ.get("STORM_SECONDS") or usual)


def wait_until_quiet(stack: Stack) -> None:
    """Wait until the audit finds nothing wrong and nothing in progress; otherwise fail with its output."""

    def is_quiet() -> bool:
        nonlocal done
        done = stack.audit()
        return done.returncode == 0 and "in progress" not in done.stdout

    done: subprocess.CompletedProcess[str] | None = None
    try:
        wait_for(is_quiet, seconds=FINAL_WITHIN)
    except AssertionError:
        assert done is not None
        pytest.fail(done.stdout + done.stderr)


@pytest.mark.parametrize(
    "stormy",
    [
        pytest.param("shop", marks=pytest.mark.xdist_group("faults"), id="processes"),
        pytest.param("stormy_processes", marks=[STORM, pytest.mark.long], id="two replicas, long"),
        pytest.param(
            "stormy_compose", marks=[pytest.mark.xdist_group("compose"), pytest.mark.long], id="compose, long"
        ),
    ],
)
def test_a_storm_loses_nothing_and_every_response_holds_true(
    stormy: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get("STORM_SEED") or secrets.token_hex(4)
    seconds = read_seconds(request)
    stack: Stack = request.getfixturevalue(stormy)
    witness, storm = run_storm(stack, seed, seconds)
    with capsys.disabled():
        sys.stdout.write(
            f"\nSTORM_SEED={seed}: {len(storm.faults)} faults ({', '.join(storm.faults)})"
            f"\n{dict(sorted(witness.counted.items()))}\n"
        )
    wait_until_quiet(stack)
    assert witness.violations == []
    assert len(witness.claims) > seconds / 2, "Too few customers could buy."
    with Customer(stack.url) as admin:
        admin.log_in_as_admin()
        orders = {
            order_id: admin.read_order(order_id) for order_id in {each.order_id for each in witness.claims}
        }
    false_claims = [
        f"{each.response} … but the order is {orders[each.order_id]}"
        for each in witness.claims
        if not each.is_true(orders[each.order_id])
    ]
    assert false_claims == []
