"""The shop as a tutorial has it, to be measured beside ours: `python -m bench.tutorial PORT UPSTREAM SECRET`.

One file, one Flask development server: it lets in who has a cookie with a token signed by a shared secret,
asks another server for the products at every call, and passes on the fields that it shows.
"""

import sys
from typing import Any

import jwt
import requests
from flask import Flask, Response, jsonify, request

COOKIE = "token"
ALGORITHM = "HS256"
FIELDS = ("id", "title", "brand", "category", "price", "description")
SIGNED_IN_FOR = 3600  # Seconds that a measurement takes at most.


def create_app(upstream: str, secret: str) -> Flask:
    """Return the application; `upstream` is the address of the products."""
    app = Flask(__name__)

    @app.get("/products")
    def list_products() -> Response | tuple[Response, int]:
        token = request.cookies.get(COOKIE)
        if not token:
            return jsonify(error="Authorization token is missing"), 401
        try:
            jwt.decode(token, secret, algorithms=[ALGORITHM])
        except jwt.InvalidTokenError:
            return jsonify(error="Authorization token is invalid"), 401
        answer = requests.get(upstream, timeout=10)
        if answer.status_code != 200:
            return jsonify(error="The products cannot be had"), answer.status_code
        return jsonify(data=[_show(product) for product in answer.json()["products"]])

    return app


def make_cookie(secret: str, now: float) -> str:
    """Return the cookie of somebody who has logged in."""
    claims = {"user_id": 1, "exp": int(now) + SIGNED_IN_FOR}
    return f"{COOKIE}={jwt.encode(claims, secret, algorithm=ALGORITHM)}"


def _show(product: dict[str, Any]) -> dict[str, Any]:
    return {name: product.get(name) for name in FIELDS}


if __name__ == "__main__":
    create_app(sys.argv[2], sys.argv[3]).run(host="127.0.0.1", port=int(sys.argv[1]))
