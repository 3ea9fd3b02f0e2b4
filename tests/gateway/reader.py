"""A service that only tells which token it reads: `gunicorn tests.gateway.reader:tell`."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Request

from shared.access import cookie_name, find_token
from shared.errors import TokenInvalid, TokenMissing


def tell(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the token that services read, of a request for the path of an environment."""
    request = Request(environ)
    try:
        token = find_token(request, cookie_name(production=request.path.endswith("production")))
    except (TokenMissing, TokenInvalid):
        token = ""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"token": token, "cookies": list(request.cookies)}).encode()]
