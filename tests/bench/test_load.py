"""How load is generated: the calls of each client, its turns, and what is counted of the answers."""

import json
import time
from collections.abc import Iterable, Iterator

import pytest

from bench.identity import Tries
from bench.load import Answer, Call, plan_calls, run_load, take_turns
from tests.conftest import FakeServer, send_json


class Clock:
    """A clock that advances only when its user waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def take(clock: Clock, pace: float, seconds: float, share: float = 0.0) -> Iterator[tuple[float, float]]:
    """Wait for the turns of a client; yield the moment of each and the time that it got."""
    for moment in take_turns(pace, share, seconds, clock):
        clock.now = max(clock.now, moment)
        yield moment, clock.now


def call(url: str, calls: Iterable[Call | Tries], *, pace: float, seconds: float) -> dict[str, list[Answer]]:
    """Return the answers by the names of the calls."""
    [found] = run_load(plan_calls(url, list(calls), seconds, pace=pace))
    answers: dict[str, list[Answer]] = {}
    for answer in found.answers:
        answers.setdefault(answer.name, []).append(answer)
    return answers


def test_clients_keep_their_pace_and_note_every_answer(fake_server: FakeServer) -> None:
    def answer(handler, _body) -> None:
        send_json(handler, b"{}", status=200 if handler.path == "/fast" else 503)

    fake_server.answer = answer
    fast, full = Call("GET", "/fast", name="fast"), Call("GET", "/full", name="full")
    answers = call(fake_server.url, [fast, full, fast], pace=0.1, seconds=0.5)
    assert {each.status for each in answers["fast"]} == {200}
    assert {each.status for each in answers["full"]} == {503}
    # Five turns each on an idle machine; a busy one may miss some and never makes up for them.
    assert 1 <= len(answers["full"]) <= 5
    assert len(answers["fast"]) <= 10


@pytest.mark.parametrize(("pace", "seconds", "turns"), [(0.2, 1.0, 5), (1 / 49, 1.0, 49), (0.1, 0.3, 3)])
def test_a_client_has_as_many_turns_as_the_pace_gives(pace: float, seconds: float, turns: int) -> None:
    moments = [moment for moment, _ in take(Clock(), pace, seconds)]
    assert moments == pytest.approx([number * pace for number in range(turns)])


def test_a_client_that_is_late_leaves_turns_out_and_does_not_make_up_for_them() -> None:
    clock = Clock()
    turns = []
    for moment, now in take(clock, 1.0, 10.0):
        turns.append((moment, now))
        clock.now += 3.5 if moment == 2 else 0.25
    assert turns == [(0, 0), (1, 1), (2, 2), (5, 5.5), (6, 6), (7, 7), (8, 8), (9, 9)]


def test_clients_take_turns() -> None:
    assert [now for _, now in take(Clock(), 1.0, 2.0, share=0.5)] == [0.5, 1.5]


def test_a_flood_makes_each_call_with_another_name_from_another_address(fake_server: FakeServer) -> None:
    fake_server.answer = lambda handler, _body: send_json(handler, b"{}")
    call(fake_server.url, [Tries(0), Tries(1)], pace=0.0, seconds=0.3)
    seen = [(headers["X-Forwarded-For"], json.loads(body)) for _, _, headers, body in fake_server.requests]
    assert (
        len({address for address, _ in seen}) == len({body["username"] for _, body in seen}) == len(seen) > 4
    )


def test_no_answer_is_counted_too() -> None:
    answers = call("http://127.0.0.1:9", [Call("GET", "/", name="gone")], pace=0.1, seconds=0.2)
    assert {each.status for each in answers["gone"]} == {0}


def test_the_time_of_a_call_is_that_until_its_answer(fake_server: FakeServer) -> None:
    def answer_late(handler, _body) -> None:
        time.sleep(0.15)
        send_json(handler, b"{}")

    fake_server.answer = answer_late
    answers = call(fake_server.url, [Call("GET", "/", name="late")], pace=0.0, seconds=0.3)
    assert all(each.milliseconds >= 150 for each in answers["late"])


def test_a_chunked_answer_ends_with_its_last_chunk(fake_server: FakeServer) -> None:
    def answer_in_chunks(handler, _body) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (b"3\r\nabc\r\n", b"3\r\ndef", b"\r\n0\r", b"\n\r\n"):
            time.sleep(0.02)
            handler.wfile.write(piece)

    fake_server.answer = answer_in_chunks
    answers = call(fake_server.url, [Call("GET", "/", name="page")], pace=0.0, seconds=0.3)
    assert len(answers["page"]) > 1
    assert {each.status for each in answers["page"]} == {200}
    assert all(each.milliseconds >= 80 for each in answers["page"])
