"""A minimal application for the gunicorn configuration."""

import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any


class PoliteApp:
    """An application that reports whether gunicorn waited for it."""

    def __init__(self) -> None:
        self._is_ready = False
        self.background = SimpleNamespace(stopping=threading.Event())

    def wait_until_ready(self, _seconds: float) -> None:
        """Become ready."""
        self._is_ready = True

    def close(self) -> None:
        """Do nothing."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Return the cookies, or whether gunicorn waited."""
        ready = b"ready" if self._is_ready else b"not ready"
        body = environ["HTTP_COOKIE"].encode() if environ["PATH_INFO"] == "/cookies" else ready
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


app = PoliteApp()
