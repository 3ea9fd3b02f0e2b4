"""Pages of products and categories: cached once for all visitors, with the service's own statuses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.harness import Gateway, Seen, Upstream, run_gateway, run_services
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

KEPT = {"X-Accel-Expires": "60", "Cache-Control": "private, no-cache", "ETag": 'W/"one"'}
PATHS = ["/p/board", "/c/kitchen/knives", "/sitemap.xml", "/sitemaps/1.xml", "/robots.txt"]


class Shelf:
    """A gateway with an empty cache, and a catalogue whose pages may be cached."""

    def __init__(self, gateway: Gateway, catalog: Upstream) -> None:
        self.gateway, self.catalog = gateway, catalog
        catalog.script = self.answer

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], str]:
        """Answer as catalog-service does."""
        if "former" in seen.path:
            return 301, {**KEPT, "Location": "/p/board"}, ""
        if "missing" in seen.path:
            return 404, {}, "<h1>Page not found</h1>"
        return 200, KEPT, f"<h1>{seen.path}</h1>"

    def asked(self, path: str) -> int:
        """Return how many requests for a path reached the catalogue."""
        return sum(seen.path == path for seen in self.catalog.seen)


@pytest.fixture
def shelf(nginx: str, tmp_path: Path) -> Iterator[Shelf]:
    with run_services() as upstreams:
        servers = {name: upstream.address for name, upstream in upstreams.items()}
        with run_gateway(nginx, tmp_path / "gateway", servers) as gateway:
            yield Shelf(gateway, upstreams["catalog"])


def test_a_page_is_cached_for_every_cookie_token_and_query(shelf: Shelf) -> None:
    visits: list[tuple[str, dict[str, str]]] = [
        ("", {}),
        ("", {"Cookie": "token=abc"}),
        ("", {"Authorization": "Bearer abc"}),
        ("?utm_source=mail", {}),
        ("?sort=price&x=1", {"Cookie": "other=1"}),
    ]
    wrong = {}
    for path in PATHS:
        answers = [shelf.gateway.call(path + query, headers=headers) for query, headers in visits]
        found = {(answer.status, answer.body) for answer in answers}
        caches = [answer.headers["x-cache"] for answer in answers]
        if len(found) != 1 or caches != ["MISS", *["HIT"] * 4] or shelf.asked(path) != 1:
            wrong[path] = found, caches, shelf.asked(path)
    assert wrong == {}


def test_compressed_and_plain_pages_are_cached_apart(shelf: Shelf) -> None:
    for coding in ("gzip", "identity", "gzip, br", "identity"):
        shelf.gateway.call("/p/board", headers={"Accept-Encoding": coding})
    assert [seen.headers.get("accept-encoding", "") for seen in shelf.catalog.seen] == ["gzip", ""]


def test_redirects_and_missing_pages_pass_unchanged(shelf: Shelf) -> None:
    moved = shelf.gateway.call("/p/former")
    assert (moved.status, moved.headers["location"]) == (301, "/p/board")
    for _ in range(2):
        missing = shelf.gateway.call("/c/missing")
        assert (missing.status, missing.body) == (404, b"<h1>Page not found</h1>")
    # A 404 is not kept, since the page may exist a moment later.
    assert shelf.asked("/c/missing") == 2


def test_a_known_page_is_served_while_the_catalogue_is_away(shelf: Shelf) -> None:
    shelf.catalog.script = lambda seen: (200, {"X-Accel-Expires": "1"}, seen.path)
    first = shelf.gateway.call("/p/board")
    shelf.catalog.stop()
    wait_for(lambda: shelf.gateway.call("/p/board").headers["x-cache"] == "STALE")
    again = shelf.gateway.call("/p/board")
    assert (again.status, again.body) == (200, first.body)


def test_a_page_has_the_security_headers_of_the_storefront(shelf: Shelf) -> None:
    front, page = shelf.gateway.call("/"), shelf.gateway.call("/p/board")
    for name in ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy"):
        assert page.headers[name] == front.headers[name], name
    assert "unsafe" not in page.headers["content-security-policy"]
