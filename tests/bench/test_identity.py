"""What the bench finds out about identity, as far as that needs no shop."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict

import pytest

from bench.callers import Errand, Orders, take_turns
from bench.identity import measure_verification, render
from local.settings import ROOT
from tests.conftest import FakeServer, send_json


class Clock:
    """A clock that advances only while its user sleeps."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def take(clock: Clock, pace: float, seconds: float, number: int = 0) -> Iterator[int]:
    """Take the turns of one of two clients."""
    errand = Errand("some", "GET", "/")
    return take_turns(Orders("", (errand, errand), pace, seconds), number, clock.now, clock)


def call(orders: Orders) -> dict:
    command = [sys.executable, "-m", "bench.callers", json.dumps(asdict(orders))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_callers_keep_their_pace_and_note_every_answer(fake_server: FakeServer) -> None:
    def answer(handler, _body) -> None:
        send_json(handler, b"{}", status=200 if handler.path == "/fast" else 503)

    fake_server.answer = answer
    errands = (Errand("fast", "GET", "/fast"), Errand("full", "GET", "/full"), Errand("fast", "GET", "/fast"))
    results = call(Orders(fake_server.url, errands, pace=0.1, seconds=0.5))
    assert results["fast"]["statuses"].keys() == {"200"}
    assert results["full"]["statuses"].keys() == {"503"}
    # Five turns each on an idle machine; a busy one may miss some and never makes up for them.
    assert 1 <= results["full"]["statuses"]["503"] <= 5
    assert len(results["fast"]["milliseconds"]) == results["fast"]["statuses"]["200"] <= 10


@pytest.mark.parametrize(("pace", "seconds", "turns"), [(0.2, 1.0, 5), (1 / 49, 1.0, 49), (0.1, 0.3, 3)])
def test_a_client_has_as_many_turns_as_the_pace_gives(pace: float, seconds: float, turns: int) -> None:
    # With a beginning like this, a sum of five paces stays below the end.
    clock = Clock(5000.9)
    assert list(take(clock, pace, seconds)) == list(range(turns))
    assert clock.now == pytest.approx(5000.9 + pace * (turns - 1))


def test_a_client_that_is_late_leaves_turns_out_and_does_not_make_up_for_them() -> None:
    clock = Clock(0.0)
    turns, times = [], []
    for turn in take(clock, 1.0, 10.0):
        turns.append(turn)
        times.append(clock.now)
        clock.now += 3.5 if turn == 2 else 0.25
    assert turns == [0, 1, 2, 5, 6, 7, 8, 9]
    assert times == [0, 1, 2, 5.5, 6, 7, 8, 9]


def test_clients_take_turns() -> None:
    clock = Clock(0.0)
    assert len(list(take(clock, 1.0, 2.0, number=1))) == 2
    assert clock.now == 1.5


def test_a_flood_makes_each_call_with_another_name_from_another_address(fake_server: FakeServer) -> None:
    fake_server.answer = lambda handler, _body: send_json(handler, b"{}")
    errand = Errand("flood", "POST", "/auth", {"X-Forwarded-For": "{address}"}, {"username": "n-{turn}"})
    call(Orders(fake_server.url, (errand, errand), pace=0.0, seconds=0.3))
    seen = [(headers["X-Forwarded-For"], body) for _, _, headers, body in fake_server.requests]
    assert len(set(seen)) == len(seen) > 4
    assert json.loads(seen[0][1])["username"].startswith("n-")


def test_no_answer_is_counted_too() -> None:
    results = call(Orders("http://127.0.0.1:9", (Errand("gone", "GET", "/"),), pace=0.1, seconds=0.2))
    assert results["gone"]["statuses"].keys() == {"0"}


def test_the_time_of_a_call_is_that_until_its_answer(fake_server: FakeServer) -> None:
    def answer_late(handler, _body) -> None:
        time.sleep(0.15)
        send_json(handler, b"{}")

    fake_server.answer = answer_late
    results = call(Orders(fake_server.url, (Errand("late", "GET", "/"),), pace=0.0, seconds=0.3))
    assert all(milliseconds >= 150 for milliseconds in results["late"]["milliseconds"])


def test_verifying_a_token_is_mostly_its_signature() -> None:
    found = measure_verification(rounds=5)
    assert 0 < found["signature"] < found["verify"]
    assert 0 < found["again"] < found["signature"]


def test_the_numbers_are_told_in_sentences() -> None:
    times = {
        **{"quiet_50": 2.0, "quiet_99": 10.0, "somebody_50": 2.5, "somebody_99": 12.0},
        **{"botnet_50": 3.0, "botnet_99": 15.0, "torrent_50": 20.0, "torrent_99": 95.0},
    }
    lines = render(
        {
            "verification": {"verify": 150.0, "again": 10.0, "signature": 75.0},
            "products": {"requests": 100, "cpu": 3000.0, "share": 0.05},
            "logins": {
                "a_second": 20.0,
                "statuses": {"200": 160, "503": 9},
                "at_rest_mib": 70.0,
                "peak_mib": 95.0,
            },
            "visitors": {"statuses": {"200": 32}, "p50": 80.4, "longest": 349.6},
            "others": {
                "calls": {"GET /cart": times},
                "errors": 0,
                "tries": {"quiet": {}, "somebody": {"429": 9}, "botnet": {"401": 50}, "torrent": {}},
            },
        }
    )
    text = "\n".join(lines)
    assert "5.0% of the 3000 µs" in text
    assert "20 log-ins a second with 32 clients (160 x 200, 9 x 503)" in text
    assert "without a pause, a log-in takes 80 ms (p50), and 350 at most (32 x 200)" in text
    assert "32 clients who try to log in, 64 times a second; 0 were not answered with 200" in text
    assert (
        "`GET /cart`: quiet 10.0 (2.0); flood of somebody 12.0 (2.5), x 1.20; "
        "of a botnet 15.0 (3.0), x 1.50; of one without a pause 95.0 (20.0), x 9.50"
    ) in text
    assert "flood of somebody 9 x 429; of a botnet 50 x 401; of one without a pause none." in text
