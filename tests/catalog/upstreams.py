"""Product sources as real HTTP servers, and helpers for copies of them."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import text

from tests.conftest import FakeServer, send_json


def make_product(number, **changes):
    return {"id": number, "title": f"Thing {number}", "price": 9.99, "stock": 5} | changes


def make_products(count, **changes):
    return [
        {"id": number, "title": f"Thing {number}", "price": 5, **changes} for number in range(1, count + 1)
    ]


def read_page(handler, products):
    """Return the page of products that a request asks for."""
    query = {name: int(values[0]) for name, values in parse_qs(urlsplit(handler.path).query).items()}
    return products[query["skip"] : query["skip"] + query["limit"]]


class FakeUpstream:
    """A product source in the tutorial's format, with the products that a test gives it."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.url = server.url
        self.products: list[Any] = []
        self.failure: tuple[int, bytes] | None = None
        server.answer = self._answer

    def _answer(self, handler: BaseHTTPRequestHandler, _body: bytes) -> None:
        if self.failure:
            send_json(handler, self.failure[1], status=self.failure[0])
            return
        page = read_page(handler, self.products)
        send_json(handler, json.dumps({"products": page, "total": len(self.products)}).encode())


class CachingUpstream:
    """A source that sends a validator with each page and answers 304 if the page is unchanged."""

    def __init__(self, server):
        self.server = server
        self.products = make_products(250)
        self.header = "ETag"
        self.answers = []
        server.answer = self._answer

    def _answer(self, handler, _body):
        page = read_page(handler, self.products)
        body = json.dumps({"products": page, "total": len(self.products)}).encode()
        tag = f'W/"{hashlib.sha256(body).hexdigest()}"'
        condition = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}[self.header]
        if handler.headers.get(condition) == tag:
            self.answers.append(304)
            handler.send_response(304)
            handler.end_headers()
            return
        self.answers.append(200)
        handler.send_response(200)
        handler.send_header(self.header, tag)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def serve(server, products, **extra):
    """Make the server return these products, page by page."""

    def answer(handler, _body):
        page = read_page(handler, products)
        send_json(handler, json.dumps({"products": page, "total": len(products), **extra}).encode())

    server.answer = answer


def fail(server, status=500):
    server.answer = lambda handler, _body: send_json(handler, b'{"message": "down"}', status=status)


def make_due(database):
    execute(database, "UPDATE source_copy SET next_attempt_at = now(), leased_until = NULL")


def execute(database, statement):
    with database.transaction() as connection:
        return connection.execute(text(statement))
