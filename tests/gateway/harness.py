"""The real nginx with the real configuration, in front of fake services that echo their requests."""

import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.gateway import command, environment, render, settings
from local.processes import wait_until
from tests.stacks import reserve_port

SERVICES = ("auth", "catalog", "orders", "payments", "logs")
GATEWAY = Path(__file__).parents[2] / "gateway"
ORDER_ID = "0199c0de-0000-7000-8000-0123456789ab"  # Of the order that the fake orders-service creates.
PUBLIC_URL = "http://shop.example"
PATIENCE = 10.0  # Seconds to wait for events that should take milliseconds.


@dataclass
class Seen:
    """A request as a service received it."""

    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: str


class Upstream:
    """A fake service that echoes each request as JSON, and records it.

    A path that ends in `/silence` is answered only after `release` is set, and a path that ends in
    `/refusal` with the service's own 404. A path that ends in `/stream` gets an event at once, and another
    after `release` is set. A service that `drops` reads a request and closes the connection.
    `script` may return a different answer: a status, headers, and a body.
    """

    def __init__(
        self, service: str, *, drops: bool = False, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.service = service
        self.drops = drops
        self.script: Callable[[Seen], tuple[int, dict[str, str], str] | None] = lambda _seen: None
        self.seen: list[Seen] = []
        self.release = threading.Event()
        self._server = ThreadingHTTPServer((address, port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def address(self) -> str:
        return f"{self._server.server_address[0]}:{self.port}"

    def stop(self) -> None:
        """Close the port, so that the next connection to it is refused."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # With the headers and the body in one write, Nagle's algorithm delays nothing.
            wbufsize = -1

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                # Joined as WSGI joins them, so that a second copy of a header cannot hide.
                headers = {name.lower(): ",".join(self.headers.get_all(name, [])) for name in self.headers}
                seen = Seen(upstream.service, self.command, self.path, headers, body)
                upstream.seen.append(seen)
                if upstream.drops:
                    self.close_connection = True
                    return
                if self.path.endswith("/stream"):
                    self.send_events()
                    return
                if self.path.endswith("/silence"):
                    upstream.release.wait(PATIENCE)
                refuse = self.path.endswith("/refusal")
                answer = {"code": "own_refusal"} if refuse else vars(seen)
                status, more, payload = 404 if refuse else 200, {}, json.dumps(answer).encode()
                if scripted := upstream.script(seen):
                    status, more, payload = scripted[0], scripted[1], scripted[2].encode()
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/problem+json" if refuse else "application/json")
                if status not in {204, 304}:
                    self.send_header("Content-Length", str(len(payload)))
                self.send_header("X-Request-ID", "the-services-own")
                if self.path == "/orders":
                    self.send_header("Location", f"/orders/{ORDER_ID}")
                self.end_headers()
                if self.command != "HEAD" and status not in {204, 304}:
                    self.wfile.write(payload)

            def send_events(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for event in (b"data: at once\n\n", b"data: later\n\n"):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                    self.wfile.flush()
                    upstream.release.wait(PATIENCE)
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Do not log; the tests read `seen`."""

        return Handler


@dataclass
class Answer:
    """A response, with header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Gateway:
    """A running nginx."""

    port: int
    log: Path
    records: Path
    upstreams: Mapping[str, Upstream] = field(default_factory=dict)

    def call(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        client: str = "127.0.0.1",
    ) -> Answer:
        """Send one request on a new connection, from the client's address."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, source_address=(client, 0)
        )
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            return _read(connection.getresponse())
        finally:
            connection.close()

    def send(self, text: str) -> Answer:
        """Send raw bytes, for requests that no well-behaved client sends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(text.encode("latin-1"))
            response = http.client.HTTPResponse(connection, method="GET")
            response.begin()
            return _read(response)

    def record(self, request_id: str) -> dict[str, Any]:
        """Return the access record of a request; it is written a moment after the response."""
        assert wait_until(lambda: bool(self._records(request_id)), PATIENCE), "The request was not recorded."
        return self._records(request_id)[0]

    def kept(self, request_id: str) -> list[dict[str, Any]]:
        """Return the records of a request that were written for logs-service."""
        text = "".join(file.read_text() for file in sorted(self.records.glob("*.log")))
        return _find(text, request_id)

    def _records(self, request_id: str) -> list[dict[str, Any]]:
        return _find(self.log.read_text(), request_id)


def _find(text: str, request_id: str) -> list[dict[str, Any]]:
    lines = [line for line in text.splitlines() if line.startswith('{"time"') and line.endswith("}}")]
    return [record for line in lines if (record := json.loads(line))["request_id"] == request_id]


def _read(response: http.client.HTTPResponse) -> Answer:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    return Answer(response.status, headers, response.read())


@contextmanager
def run_services() -> Iterator[dict[str, Upstream]]:
    """Start a fake for each service."""
    upstreams = {name: Upstream(name) for name in SERVICES}
    try:
        yield upstreams
    finally:
        # Each waits for its thread, so stop all at once.
        with ThreadPoolExecutor() as pool:
            list(pool.map(Upstream.stop, upstreams.values()))


@contextmanager
def run_gateway(
    nginx: str,
    folder: Path,
    servers: Mapping[str, str],
    home: Path = GATEWAY,
    resolver: str = "127.0.0.1",
    **values: str,
) -> Iterator[Gateway]:
    """Start nginx in `folder`, with settings from `values`.

    `servers` has the addresses of each service, separated by spaces. nginx keeps resolving names, as in
    Docker, at `resolver`.
    """
    state, log = folder / "state", folder / "log"
    records = folder / "records"
    for each in (state, records):
        each.mkdir(parents=True)
    port = reserve_port()
    variables = {
        "GATEWAY_RESOLVER": resolver,
        "GATEWAY_HOME": str(home),
        "GATEWAY_STATE": str(state),
        "GATEWAY_RECORDS": str(records),
        **{f"GATEWAY_{name.upper()}_SERVERS": _server_lines(servers[name]) for name in SERVICES},
        "GATEWAY_VERDICT_SERVERS": " ".join(
            (_server_lines(servers["catalog"]), _server_lines(servers["auth"], " backup"))
        ),
    }
    render(home / "templates", state, variables)
    written = write_settings(home, state, {"PUBLIC_URL": PUBLIC_URL, **values}, f"127.0.0.1:{port}")
    assert written.returncode == 0, written.stderr
    line = command(nginx, state, "-g", "daemon off;")
    with log.open("ab") as output:
        process = subprocess.Popen(
            line, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: process.poll() is not None or _accepts(port), PATIENCE)
        assert process.poll() is None, f"nginx did not start:\n{log.read_text()}"
        yield Gateway(port, log, records)
    finally:
        process.terminate()
        process.wait(PATIENCE)


def write_settings(
    home: Path, state: Path, values: Mapping[str, str], listen: str = "127.0.0.1:9"
) -> "subprocess.CompletedProcess[str]":
    """Write the settings as nginx directives, as both stacks do."""
    job = settings(home, state, listen, values)
    return subprocess.run(job.command, env=job.environment, capture_output=True, text=True, check=False)


def shorten(home: Path, times: Mapping[str, str]) -> Path:
    """Copy the configuration to `home`, and replace the times of these directives."""
    shutil.copytree(GATEWAY, home)
    for line, time in times.items():
        files = [*home.glob("templates/*"), *home.glob("snippets/*")]
        [file] = [file for file in files if f"{line};" in file.read_text()]
        file.write_text(file.read_text().replace(f"{line};", f"{line.partition(' ')[0]} {time};"))
    return home


def _server_lines(addresses: str, role: str = "") -> str:
    return " ".join(
        f"server {address}{'' if address[0].isdigit() else ' resolve'} max_fails=0{role};"
        for address in addresses.split()
    )


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
