"""Receivers of webhooks: real HTTP servers, which verify messages with the package `standardwebhooks`."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.conftest import FakeServer
from tests.orders.conftest import Buyer
from tests.waiting import wait_for

Answer = Callable[[Any, int], None]


@dataclass(frozen=True)
class Received:
    """A message as the receiver got it."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Return the webhook-id."""
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Return whether an independent receiver with this secret accepts the message."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


class Receiver:
    """A server with several receivers by path. Each answers with the next of its `statuses`, then with 204.

    `headers` and `content` are those of each answer that is not 204, and `answer` replaces all of it.
    """

    def __init__(self) -> None:
        self.server = FakeServer()
        self.server.answer = self._answer
        self.statuses: dict[str, list[int]] = {}
        self.headers: dict[str, str] = {}
        self.content = b""
        self.answer: Answer | None = None
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    @property
    def messages(self) -> list[Received]:
        """Return all messages, oldest first."""
        return [Received(path, headers, body) for _, path, headers, body in list(self.server.requests)]

    def url(self, path: str = "/hook") -> str:
        """Return the URL of a receiver."""
        return f"{self.server.url}{path}"

    def wait_for(self, count: int) -> list[Received]:
        """Return the messages once there are so many."""
        return wait_for(lambda: self.messages if len(self.messages) >= count else None)

    def _answer(self, handler: Any, _body: bytes) -> None:
        with self._lock:
            number = self._counts[handler.path]
            self._counts[handler.path] += 1
        if self.answer:
            self.answer(handler, number)
            return
        statuses = self.statuses.get(handler.path, [])
        answer_with(handler, statuses[number] if number < len(statuses) else 204, self.headers, self.content)


def answer_with(
    handler: Any, status: int, headers: dict[str, str] | None = None, content: bytes = b""
) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    if status != 204:
        handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if status != 204:
        handler.wfile.write(content)


@contextmanager
def run_receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.server.close()


def add_webhook(admin: Buyer, url: str, events: tuple[str, ...] = ("*",), **others: Any) -> dict[str, Any]:
    """Create a webhook; return it with its secret."""
    made = admin.call("POST", "/webhooks", json={"url": url, "events": list(events), **others})
    assert made.status_code == 201, made.json
    body: dict[str, Any] = made.json
    return body


def list_deliveries(admin: Buyer, webhook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    """Return the deliveries of a webhook, newest first."""
    found: list[dict[str, Any]] = admin.get(f"/webhooks/{webhook['id']}/deliveries{query}").json["data"]
    return found


def wait_for_state(admin: Buyer, webhook: dict[str, Any], state: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the deliveries in a state once there are so many."""

    def find() -> list[dict[str, Any]] | None:
        found = list_deliveries(admin, webhook, f"?state={state}&limit=100")
        return found if len(found) >= count else None

    return wait_for(find)
