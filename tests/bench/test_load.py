"""The load generator: the calls of each client, and its counts."""

import time

import pytest

from bench.load import Answer, Call, plan_calls, run_load
from tests.conftest import FakeServer, send_json

pytestmark = pytest.mark.long  # With the bench itself.


def call(url: str, *calls: Call, seconds: float) -> dict[str, list[Answer]]:
    """Return the answers by the names of the calls."""
    [found] = run_load(plan_calls(url, calls, seconds))
    answers: dict[str, list[Answer]] = {}
    for answer in found.answers:
        answers.setdefault(answer.name, []).append(answer)
    return answers


def test_each_client_repeats_its_call_and_records_every_answer(fake_server: FakeServer) -> None:
    def answer(handler, _body) -> None:
        send_json(handler, b"{}", status=200 if handler.path == "/fast" else 503)

    fake_server.answer = answer
    fast, full = Call("GET", "/fast", name="fast"), Call("GET", "/full", name="full")
    answers = call(fake_server.url, fast, full, fast, seconds=0.5)
    assert {each.status for each in answers["fast"]} == {200}
    assert {each.status for each in answers["full"]} == {503}
    assert len(fake_server.requests) == len(answers["full"]) + len(answers["fast"]) > 3


def test_a_missing_answer_is_counted() -> None:
    answers = call("http://127.0.0.1:9", Call("GET", "/", name="gone"), seconds=0.2)
    assert {each.status for each in answers["gone"]} == {0}


def test_a_latency_ends_with_the_answer(fake_server: FakeServer) -> None:
    def answer_late(handler, _body) -> None:
        time.sleep(0.15)
        send_json(handler, b"{}")

    fake_server.answer = answer_late
    answers = call(fake_server.url, Call("GET", "/", name="late"), seconds=0.3)
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
    answers = call(fake_server.url, Call("GET", "/", name="page"), seconds=0.3)
    assert len(answers["page"]) > 1
    assert {each.status for each in answers["page"]} == {200}
    assert all(each.milliseconds >= 80 for each in answers["page"])
