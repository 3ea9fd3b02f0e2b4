"""Small but expensive bodies are refused before they are decoded."""

import json
import subprocess
import sys
import time

import pytest

from shared.json_bounds import DEEPEST, MOST_VALUES, find_excess
from tests.stacks import ROOT

MEGABYTE = 1024 * 1024
JSON = {"content_type": "application/json"}
ALLOWED = {
    "a small body": b'{"size": 1}',
    "the maximum of members": json.dumps(dict.fromkeys(map(str, range(MOST_VALUES)), 1)).encode(),
    "the maximum depth": b"[" * DEEPEST + b"]" * DEEPEST,
    "brackets and commas in a string": json.dumps(['[{,\\"' * 10_000]).encode(),
    "a string of a megabyte": b'["' + b"x" * (MEGABYTE - 10) + b'"]',
}
TOO_MUCH = {
    "members": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    "items": b"[" + b"0," * (MEGABYTE // 2) + b"0]",
    "empty lists": b"[" + b"[]," * (MEGABYTE // 3) + b"[]]",
    "depth": b"[" * MEGABYTE,
    "depth of objects": b'{"a":' * (MEGABYTE // 5),
    "depth between strings": b'["]]]]",' * (DEEPEST + 1),
    "members before an unterminated string": b"[" + b"1," * MOST_VALUES + b'"',
}


def test_normal_bodies_are_accepted_and_expensive_ones_are_not():
    assert {name: find_excess(body) for name, body in ALLOWED.items()} == dict.fromkeys(ALLOWED)
    assert [name for name, body in TOO_MUCH.items() if find_excess(body) is None] == []


@pytest.mark.parametrize("name", TOO_MUCH)
def test_an_expensive_body_is_413_on_each_kind_of_route(client, name):
    for path in ("/things", "/open"):
        answer = client.post(path, data=TOO_MUCH[name][:MEGABYTE], **JSON)
        assert (answer.status_code, answer.json["code"]) == (413, "body_too_complex"), path
        assert len(answer.data) < 1000


@pytest.mark.parametrize("piece", [b'"', b'"\\', b"[", b'["', b'{"a":', b'"a",', b",", b"\\", b'[{"\\"": [1'])
def test_the_time_grows_linearly_with_the_length(piece):
    def measure(length):
        body = b"," * (MOST_VALUES + 1) + piece * (length // len(piece))
        begin = time.process_time()
        find_excess(body)
        return time.process_time() - begin

    small, large = (min(measure(length) for _ in range(3)) for length in (MEGABYTE // 32, MEGABYTE // 2))
    # Quadratic time would be 256 times as long.
    assert large < 64 * max(small, 0.0005)


def test_many_invalid_fields_are_counted_and_20_are_named(client):
    names = ["x" * 500 + str(number) for number in range(1000)]
    for path, count in (("/strict", 1001), ("/open", 1000)):
        answer = client.post(path, data=json.dumps(dict.fromkeys(names, 1)), **JSON)
        assert answer.status_code == 422
        assert (len(answer.json["errors"]), answer.json["error_count"]) == (20, count)
        assert len(answer.data) < 10_000


HUNGRY = """
import resource, sys, threading
from tests.shared.test_json_bounds import ALLOWED, TOO_MUCH
from orders.app import create_app
from orders.config import Settings
from tests.fakes import FakeAuth

nowhere, auth = "http://127.0.0.1:9", FakeAuth()
urls = dict(auth_url=nowhere, catalog_url=nowhere, payments_url=nowhere)
database = "postgresql://a@127.0.0.1:9/a"
settings = Settings(service="orders-service", database_url=database, client_secret="secret", **urls)
app = create_app(settings, auth)
bodies = [*TOO_MUCH.values(), ALLOWED["the maximum of members"], ALLOWED["a string of a megabyte"]]
headers = auth.bearer(sub="a guest", role="guest")

def send(body):
    answer = app.test_client().put("/cart/items/1", data=body[:1024 * 1024], headers=headers,
                                   content_type="application/json")
    assert answer.status_code in {413, 422}, answer.data

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for body in bodies:
    threads = [threading.Thread(target=send, args=(body,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file=sys.stderr)

"""


def test_sixteen_concurrent_worst_case_bodies_fit_into_a_container():
    path = ":".join(str(ROOT / name) for name in (".", "orders-service"))
    run = subprocess.run(
        [sys.executable, "-c", HUNGRY],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": path, "PATH": ""},
        timeout=120,
    )
    # A container has 256 MiB, and a service needs about 80.
    assert int(run.stderr.splitlines()[-1]) < 128, run.stderr
