"""The measurement of the hot path: its clients, its controls and its summary."""

import json
import time

import jwt
import pytest

from bench.errors import CannotMeasure
from bench.hot_path import CACHED, STATIC, TUTORIAL, render, run_flood, running_tutorial, sum_up
from bench.load import Call
from bench.tutorial import create_app, make_cookie
from tests.conftest import FakeServer, send_json

pytestmark = pytest.mark.long  # With the bench itself.

SECRET = "a secret that is long enough for HS256"
NOW = 4_000_000_000.0  # Long after any test.


def test_a_flood_sends_its_call_from_every_client_and_counts_the_answers(
    fake_server: FakeServer,
) -> None:
    fake_server.answer = lambda handler, _body: send_json(handler, b"{}" * 100_000)
    found = run_flood(fake_server.url, Call("GET", "/page?a=1", headers={"Cookie": "token=t"}), 5, 0.5)
    assert found["good"] == len(fake_server.requests)
    assert found["errors"] == 0
    assert {(method, path, headers["Cookie"]) for method, path, headers, _ in fake_server.requests} == {
        ("GET", "/page?a=1", "token=t")
    }
    assert 0 < found["p50"] <= found["p99"]
    # Each client gets at most one answer after the end, which the rate leaves out.
    assert found["good"] - 5 <= round(found["rate"] * 0.5) <= found["good"]
    assert found["load_cpu"] > 0


def test_a_latency_includes_the_last_byte(fake_server: FakeServer) -> None:
    def answer_in_pieces(handler, _body) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "9")
        handler.end_headers()
        for piece in (b"abc", b"def", b"ghi"):
            time.sleep(0.02)
            handler.wfile.write(piece)

    fake_server.answer = answer_in_pieces
    found = run_flood(fake_server.url, Call("GET", "/"), clients=1, seconds=0.5)
    assert found["errors"] == 0
    assert found["p50"] >= 60


def test_a_flood_separates_errors_and_lost_answers_from_good_ones(fake_server: FakeServer) -> None:
    answered = iter(range(1_000_000))

    def answer(handler, _body) -> None:
        match next(answered) % 3:
            case 0:
                send_json(handler, b"{}")
            case 1:
                send_json(handler, b"{}", 503)
            case 2:
                handler.close_connection = True  # Without an answer.

    fake_server.answer = answer
    found = run_flood(fake_server.url, Call("GET", "/"), clients=1, seconds=0.5)
    assert found["good"] > 0
    assert abs(found["errors"] - 2 * found["good"]) <= 2


def test_a_flood_reconnects_after_each_closed_connection(fake_server: FakeServer) -> None:
    def answer(handler, _body) -> None:
        handler.protocol_version = "HTTP/1.0"
        handler.close_connection = True
        send_json(handler, b"{}")

    fake_server.answer = answer
    found = run_flood(fake_server.url, Call("GET", "/"), clients=2, seconds=0.5)
    assert found["good"] > 2
    assert found["errors"] == 0


def test_a_flood_on_a_closed_port_is_an_error() -> None:
    with pytest.raises(CannotMeasure, match="/missing"):
        run_flood("http://127.0.0.1:9", Call("GET", "/missing"), clients=1, seconds=0.5)


@pytest.fixture
def upstream(fake_server: FakeServer) -> FakeServer:
    """A server of products, in the shape that the tutorial reads."""
    products = [{"id": 1, "title": "A pan", "brand": "B", "price": 9.5, "secret": "x"}]
    fake_server.answer = lambda handler, _body: send_json(
        handler, json.dumps({"products": products}).encode()
    )
    return fake_server


def test_the_tutorial_requires_its_cookie_and_proxies_products(upstream: FakeServer) -> None:
    client = create_app(f"{upstream.url}/products", SECRET).test_client()
    assert client.get("/products").status_code == 401
    for claims, secret in (({"exp": NOW}, f"{SECRET}!"), ({"exp": 1}, SECRET)):
        client.set_cookie("token", jwt.encode(claims, secret, algorithm="HS256"))
        assert client.get("/products").status_code == 401
    assert upstream.requests == []
    name, _, value = make_cookie(SECRET, NOW).partition("=")
    client.set_cookie(name, value)
    answer = client.get("/products")
    assert answer.status_code == 200
    [product] = answer.json["data"]
    assert (product["title"], product["price"]) == ("A pan", 9.5)
    assert "secret" not in product
    assert len(upstream.requests) == 1


def test_the_tutorial_runs_as_a_separate_server_and_is_measured_like_the_others(
    upstream: FakeServer, tmp_path
) -> None:
    with running_tutorial(tmp_path, upstream.url) as tutorial:
        call = Call("GET", tutorial.path, headers=tutorial.headers())
        found = run_flood(tutorial.url, call, clients=2, seconds=0.5)
        assert found["good"] > 0
        assert found["errors"] == 0
        assert tutorial.measure_cpu()["tutorial"] > 0


def make_flood(way: str, rate: float, **changes) -> dict:
    return {
        **{"way": way, "clients": 8, "rate": rate, "good": 1000, "errors": 0, "p50": 1.0, "p99": 2.0},
        **{"seconds": 2.0, "load_cpu": 0.02, "part_cpu": {"gateway": 0.05, "catalog-service": 0.01}},
        **changes,
    }


def test_the_summary_has_medians_of_rounds_and_of_their_ratios() -> None:
    # One round was slow, equally for all.
    rates = {STATIC: (1000.0, 100.0, 1200.0), CACHED: (500.0, 60.0, 600.0), TUTORIAL: (20.0, 2.0, 30.0)}
    results = sum_up([make_flood(way, each[turn]) for turn in range(3) for way, each in rates.items()])
    assert [(row["way"], row["rate"], row["lowest"], row["highest"]) for row in results["rows"]] == [
        (STATIC, 1000.0, 100.0, 1200.0),
        (CACHED, 500.0, 60.0, 600.0),
        (TUTORIAL, 20.0, 2.0, 30.0),
    ]
    assert results["rows"][0]["cpu_us"] == {"nginx": 50.0, "behind": 10.0, "asking": 20.0}
    assert results["rows"][0]["cores"] == 0.04
    assert results["ratios"] == [
        {"clients": 8, "way": STATIC, "ratio": 0.5},
        {"clients": 8, "way": TUTORIAL, "ratio": 25.0},
    ]


def test_no_answers_give_no_ratio_and_an_empty_table() -> None:
    nothing = make_flood(TUTORIAL, 0.0, good=0, p50=None, p99=None)
    results = sum_up([make_flood(CACHED, 10.0), nothing])
    assert results["ratios"] == [{"clients": 8, "way": TUTORIAL, "ratio": None}]
    lines = render({"bytes": 100, **results})
    assert any(line.startswith("| tutorial") and "| 0 |" in line.replace("  ", "") for line in lines)
