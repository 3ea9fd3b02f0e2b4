"""Bodies that a route refuses before the client has sent them."""

import time
from contextlib import suppress
from functools import partial
from typing import IO

from apiflask import APIBlueprint
from flask import Response, request

DRAIN_TIMEOUT = 5.0  # Seconds to read the rest of a refused body.


def drain_refused_bodies(routes: APIBlueprint) -> None:
    """Let a client that is still sending receive the error before the connection closes."""

    @routes.after_request
    def drain_refused_body(response: Response) -> Response:
        if response.status_code >= 400:
            response.call_on_close(partial(_drain, request.environ["wsgi.input"]))
        return response


def _drain(body: IO[bytes]) -> None:
    # The response has been sent, and the gateway closes the connection after reading it. Closing a socket
    # with unread input would discard the response.
    end = time.monotonic() + DRAIN_TIMEOUT
    with suppress(Exception):
        while time.monotonic() < end and body.read(65536):
            pass
