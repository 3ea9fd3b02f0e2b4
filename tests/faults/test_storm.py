"""People buy while one thing after the other is killed, paused, restarted or cut off: nothing comes of it.

The seed is printed. STORM_SEED=… replays its strikes and choices, STORM_SECONDS=… makes it longer.
"""

import os
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.customers import FINAL_WITHIN, Customer
from tests.faults.storm import let_it_rage
from tests.stacks import ComposeStack, ProcessStack, Stack, docker_or_skip

pytestmark = [pytest.mark.shop, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("STORM_SECONDS") or 60)
REPLICAS = {"orders-service": 2, "payments-service": 2, "catalog-service": 2}


@pytest.fixture
def stormy_processes(tmp_path: Path) -> Iterator[ProcessStack]:
    """A process stack with two replicas of what takes part in a checkout."""
    scale = ",".join(f"{service}={number}" for service, number in REPLICAS.items())
    stack = ProcessStack(tmp_path / "state", SCALE=scale, RATE_LIMITS="off")
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def stormy_compose() -> Iterator[ComposeStack]:
    """The same with Docker."""
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


def be_quiet(stack: Stack) -> str:
    """Wait until the audit finds nothing broken and nothing under way; return what it says at last."""
    deadline = time.monotonic() + FINAL_WITHIN
    while True:
        done = stack.audit()
        if done.returncode == 0 and "in progress" not in done.stdout:
            return ""
        if time.monotonic() > deadline:
            return done.stdout + done.stderr
        time.sleep(1)


@pytest.mark.parametrize("stormy", ["stormy_processes", "stormy_compose"])
def test_in_a_storm_nothing_is_lost_and_every_answer_is_true(
    stormy: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = os.environ.get("STORM_SEED") or secrets.token_hex(4)
    stack: Stack = request.getfixturevalue(stormy)
    witness, storm = let_it_rage(stack, seed, SECONDS)
    with capsys.disabled():
        sys.stdout.write(
            f"\nSTORM_SEED={seed}: {len(storm.struck)} strikes ({', '.join(storm.struck)})"
            f"\n{dict(sorted(witness.counted.items()))}\n"
        )
    assert be_quiet(stack) == ""
    assert witness.troubles == []
    assert len(witness.claims) > SECONDS / 2, "Next to nobody could buy anything."
    with Customer(stack.url) as admin:
        admin.come_in_as_admin()
        orders = {
            order_id: admin.read_order(order_id) for order_id in {each.order_id for each in witness.claims}
        }
    lies = [
        f"{each.told} … and is {orders[each.order_id]}"
        for each in witness.claims
        if not each.is_true(orders[each.order_id])
    ]
    assert lies == []
