"""A service that returns the token it reads: `gunicorn tests.gateway.reader:read`."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Request

from shared.access import cookie_name, find_token
from shared.errors import TokenInvalid, TokenMissing


def read(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Return the token as services read it; the path ends in the environment."""
    request = Request(environ)
    try:
        token = find_token(request, cookie_name(production=request.path.endswith("production")))
    except (TokenMissing, TokenInvalid):
        token = ""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"token": token, "cookies": list(request.cookies)}).encode()]
