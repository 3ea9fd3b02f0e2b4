"""A replica accepts no requests before it is ready, and no new connections during shutdown."""

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.stacks import ROOT, reserve_port
from tests.waiting import wait_for


def test_a_service_waits_for_its_checks(app, auth):
    auth.is_away = True
    threading.Timer(0.3, lambda: setattr(auth, "is_away", False)).start()
    assert app.wait_until_ready(20.0)
    assert not auth.is_away


def test_a_service_does_not_wait_forever(app, auth):
    auth.is_away = True
    assert not app.wait_until_ready(0.2)


@pytest.fixture
def port() -> int:
    """The port of the replica, reserved so that no other program takes it."""
    return reserve_port()


@pytest.fixture
def replica(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An application under gunicorn, with the configuration of every service."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "python:shared.gunicorn_conf",
            "tests.shared.polite_app:app",
        ],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'logs-service'}",
            "SERVICE": "logs-service",
            "PORT": str(port),
        },
    )
    wait_for(lambda: connects(port))
    yield process
    process.kill()
    process.wait()


def connects(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return False
    connection.close()
    return True


def test_a_stopping_replica_serves_open_connections_and_refuses_new_ones(replica, port):
    inside = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    inside.request("GET", "/")
    assert inside.getresponse().read() == b"ready"
    replica.send_signal(signal.SIGTERM)
    wait_for(lambda: not connects(port), seconds=1)
    inside.request("GET", "/")
    answer = inside.getresponse()
    assert answer.read() == b"ready"
    assert answer.headers["Connection"] == "close"
    assert replica.wait(10) == 0


@pytest.mark.usefixtures("replica")
def test_several_cookie_headers_are_joined(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", "/cookies")
    for cookie in ("theme=dark", "token=mine", "a=1; b=2"):
        connection.putheader("Cookie", cookie)
    connection.endheaders()
    assert connection.getresponse().read() == b"theme=dark; token=mine; a=1; b=2"
    connection.close()
