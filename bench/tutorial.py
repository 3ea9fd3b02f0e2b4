"""The tutorial's shop, for comparison: `python -m bench.tutorial PORT UPSTREAM SECRET`.

One file on Flask's development server. It accepts a cookie with a token signed by a shared secret, reads the
products from another server at every call, and passes on the fields that it shows.
"""

import sys

import jwt
import requests
from flask import Flask, Response, jsonify, request

FIELDS = ("id", "title", "brand", "category", "price", "description")
LIFETIME = 3600  # Seconds of a token, more than a measurement takes.


def create_app(upstream: str, secret: str) -> Flask:
    """Return the application; `upstream` is the URL of the products."""
    app = Flask(__name__)

    @app.get("/products")
    def list_products() -> Response | tuple[Response, int]:
        token = request.cookies.get("token")
        if not token:
            return jsonify(error="Authorization token is missing"), 401
        try:
            jwt.decode(token, secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return jsonify(error="Authorization token is invalid"), 401
        answer = requests.get(upstream, timeout=10)
        if answer.status_code != 200:
            return jsonify(error="The products cannot be had"), answer.status_code
        products = answer.json()["products"]
        return jsonify(data=[{name: product.get(name) for name in FIELDS} for product in products])

    return app


def make_cookie(secret: str, now: float) -> str:
    """Return the cookie of a logged-in user."""
    claims = {"user_id": 1, "exp": int(now) + LIFETIME}
    return f"token={jwt.encode(claims, secret, algorithm='HS256')}"


if __name__ == "__main__":
    create_app(sys.argv[2], sys.argv[3]).run(host="127.0.0.1", port=int(sys.argv[1]))
