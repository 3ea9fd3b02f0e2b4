"""Ask for the same page as fast as it is answered: `python -m bench.flood '{"port": …}'`.

A process of its own with plain sockets, since some of what is measured answers ten thousand times a second.
Each client sends the same bytes whenever it has the whole answer to the last; of an answer no more is looked
at than its status and where it ends. It writes "ready", begins when it is sent a line, and writes JSON.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHUNK = 256 * 1024  # Bytes that are read at once.
TIMEOUT = 20.0  # Seconds for a connection.


@dataclass(frozen=True)
class Flood:
    """Which page of a server on this machine, with how many clients, and for how many seconds."""

    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    clients: int = 1
    seconds: float = 1.0

    @property
    def request(self) -> bytes:
        """Return what is sent."""
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        head = [f"GET {self.path} HTTP/1.1", f"Host: localhost:{self.port}", *lines, "", ""]
        return "\r\n".join(head).encode()


class Client:
    """Somebody with one connection, which is used again as long as the server lets it be."""

    def __init__(self, port: int, request: bytes, selector: selectors.BaseSelector) -> None:
        self._port = port
        self._request = request
        self._selector = selector
        self._socket: socket.socket | None = None

    def ask(self) -> None:
        """Send the request; raise OSError if there is nobody to send it to."""
        self._began = time.perf_counter()
        self._status, self._head = 0, b""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT)
            self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._socket.sendall(self._request)

    def read(self) -> tuple[int, float] | None:
        """Return the status and milliseconds of the answer once it is all there; 0 if it was cut off."""
        try:
            data = self._socket.recv(CHUNK) if self._socket else b""
        except OSError:
            data = b""
        if data and not self._status:
            self._read_head(data)
        elif data:
            self._missing -= len(data)
        if data and (not self._status or self._missing > 0):
            return None
        milliseconds = (time.perf_counter() - self._began) * 1000
        if not data or self._is_last:
            self.close()
        return self._status if data else 0, milliseconds

    def _read_head(self, data: bytes) -> None:
        self._head += data
        head, end, body = self._head.partition(b"\r\n\r\n")
        if end:
            head = head.lower()
            if not head.startswith(b"http/1."):
                raise ValueError(f"{head[:100]!r} is not the beginning of an answer.")
            length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            self._status = int(head.split(b" ", 2)[1])
            self._missing = int(length) - len(body)
            self._is_last = head.startswith(b"http/1.0") or b"\r\nconnection: close" in head

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket:
            self._selector.unregister(self._socket)
            self._socket.close()
        self._socket = None


def run(flood: Flood) -> dict[str, Any]:
    """Return the milliseconds of every answer that was 200, the number of others, seconds and CPU seconds.

    Raises OSError if the server is away.
    """
    milliseconds: list[float] = []
    errors = 0
    with selectors.DefaultSelector() as selector:
        clients = [Client(flood.port, flood.request, selector) for _ in range(flood.clients)]
        began, cpu = time.perf_counter(), time.process_time()
        for client in clients:
            client.ask()
        while (left := began + flood.seconds - time.perf_counter()) > 0:
            for key, _ in selector.select(left):
                answer = key.data.read()
                if answer is None:
                    continue
                if answer[0] == 200:
                    milliseconds.append(answer[1])
                else:
                    errors += 1
                key.data.ask()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        for client in clients:
            client.close()
    return {"milliseconds": milliseconds, "errors": errors, "seconds": seconds, "cpu": cpu}


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(run(Flood(**json.loads(sys.argv[1])))))
