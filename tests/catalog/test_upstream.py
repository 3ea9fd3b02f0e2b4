"""A product source that is copied page by page over HTTP."""

from decimal import Decimal
from functools import partial

import pytest

from catalog.domain import to_minor_units
from catalog.use_cases.figures import read_figures
from tests.catalog.upstreams import make_product
from tests.conftest import FakeServer
from tests.waiting import wait_for


@pytest.fixture
def get(start_catalog, auth, upstream):
    client = start_catalog(
        catalog_upstream_url=upstream.url, catalog_upstream_token="their token", catalog_sync_seconds=1
    ).test_client()
    return lambda path="/products": client.get(path, headers=auth.bearer())


@pytest.fixture
def standing_get(catalogue, auth, upstream, monkeypatch):
    """Send GET requests to a replica with this source; the test makes the copies itself."""
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.01)
    client = catalogue.get(catalog_upstream_url=upstream.url).test_client()
    return lambda path="/products": client.get(path, headers=auth.bearer())


def read_titles(get):
    answer = get("/products?limit=100")
    return [product["title"] for product in answer.json["data"]] if answer.status_code == 200 else []


def test_an_upstream_is_copied_page_by_page_with_its_own_token(upstream, get):
    upstream.products = [make_product(number) for number in range(1, 251)]
    # The service may have copied the upstream before it had any products.
    wait_for(lambda: get("/products/250").status_code == 200)
    assert get("/products/250").json["title"] == "Thing 250"
    asked = [path for _method, path, _headers, _body in upstream.server.requests]
    pages = [f"/products?limit=100&skip={skip}" for skip in (0, 100, 200)]
    assert pages in [asked[n : n + 3] for n in range(len(asked))]
    headers = upstream.server.requests[0][2]
    assert headers["Authorization"] == "Bearer their token"
    assert not {"X-Service-Authorization", "X-Request-ID", "traceparent", "Cookie"} & set(headers)


def test_a_product_without_a_brand_is_kept_without_one(upstream, standing_get, copy):
    upstream.products = [make_product(1), make_product(2, brand=None), make_product(3, brand=" ")]
    copy()
    assert [product["brand"] for product in standing_get().json["data"]] == [None, None, None]


def test_a_copy_applies_changes_and_unchanged_products_keep_their_version(upstream, standing_get, copy):
    upstream.products = [make_product(1), make_product(2), make_product(3)]
    copy()
    upstream.products = [make_product(1), make_product(2, title="Renamed"), make_product(4)]
    copy()
    assert read_titles(standing_get) == ["Thing 1", "Renamed", "Thing 4"]
    assert [product["version"] for product in standing_get().json["data"]] == [1, 2, 1]
    assert standing_get("/products/3").status_code == 404


def test_an_empty_upstream_is_an_empty_catalogue(upstream, get):
    answer = wait_for(lambda: (found := get()).status_code != 503 and found)
    assert answer.status_code == 204
    assert answer.data == b""


def test_without_a_copy_the_error_of_the_upstream_is_passed_on(upstream, standing_get, copy, reset_database):
    upstream_errors = {500: 500, 503: 503, 404: 404, 429: 429, 401: 502, 403: 502, 302: 502}
    wrong = {}
    for theirs, ours in upstream_errors.items():
        reset_database()
        upstream.failure = (theirs, b'{"message": "Our shelves are being painted"}')
        copy()
        answer = standing_get()
        found = (answer.status_code, answer.json["error"], answer.json["code"])
        has_time = "Retry-After" in answer.headers
        expected = (ours, "Our shelves are being painted", "upstream_failed")
        if (found, has_time) != (expected, ours in {429, 503}):
            wrong[theirs] = (found, has_time)
    assert wrong == {}


def test_a_malformed_response_of_the_upstream_is_502(upstream, standing_get, copy, reset_database):
    statuses = {}
    for body in (b"<html>", b"[]", b'{"products": 3}'):
        reset_database()
        upstream.failure = (200, body)
        copy()
        statuses[body] = standing_get().status_code
    assert statuses == dict.fromkeys(statuses, 502)


def test_the_last_copy_is_served_until_the_upstream_recovers(upstream, get):
    upstream.products = [make_product(1)]
    wait_for(lambda: get().status_code == 200)
    upstream.failure = (500, b"{}")
    asked = len(upstream.server.requests)
    wait_for(lambda: len(upstream.server.requests) > asked + 1)
    assert read_titles(get) == ["Thing 1"]
    upstream.products, upstream.failure = [make_product(1, title="Back")], None
    wait_for(lambda: read_titles(get) == ["Back"])


def test_an_unreachable_upstream_is_502(start_catalog, auth, monkeypatch):
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.01)
    server = FakeServer()
    server.close()
    client = start_catalog(catalog_upstream_url=server.url).test_client()

    def send():
        found = client.get("/products", headers=auth.bearer())
        return found.json["code"] != "catalogue_loading" and found

    answer = wait_for(send)
    assert answer.status_code == 502
    assert answer.json["error"] == "The product source does not respond."


def test_the_copy_of_another_source_is_not_served(client, start_catalog, auth, upstream, monkeypatch):
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.01)
    assert client.get("/products", headers=auth.bearer()).status_code == 200
    upstream.failure = (500, b'{"message": "down"}')
    client = start_catalog(catalog_upstream_url=upstream.url).test_client()
    answer = wait_for(
        lambda: (found := client.get("/products", headers=auth.bearer())).status_code == 500 and found
    )
    assert answer.json["error"] == "down"


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("9.99", "USD", 999),
        ("0.005", "USD", 1),
        ("1500", "JPY", 1500),
        ("0", "EUR", 0),
        ("1.2345", "KWD", 1235),
    ],
)
def test_prices_become_integers_in_minor_units(price, currency, minor):
    assert to_minor_units(Decimal(price), currency) == minor


def test_the_metrics_report_the_age_of_the_copy_and_the_failures_since(
    database, source, upstream, copy, monkeypatch
):
    monkeypatch.setattr("catalog.clients.FIRST_BACKOFF", 0.01)
    upstream.failure = (500, b"{}")
    read = partial(read_figures, database, source)
    copy()
    assert {figure.name: figure.values[()] for figure in read()}["catalog_source_failures"] == 1
    assert "catalog_source_age_seconds" not in {figure.name for figure in read()}
    upstream.failure = None
    copy()
    figures = {figure.name: figure.values[()] for figure in read()}
    assert 0 <= figures["catalog_source_age_seconds"] < 60
    assert figures["catalog_source_refresh_seconds"] == 60


def test_the_bundled_sample_has_no_age_metrics(start_catalog):
    text = start_catalog().test_client().get("/metrics").text
    assert "http_server_request_duration_seconds" in text
    assert "catalog_source" not in text
