"""Caching by clients and by the gateway, compression, and the verdict for the gateway."""

import gzip
import json
import time

import pytest
from sqlalchemy import text

from tests.fakes import FakeAuth

PATHS = ["/products?limit=5", "/products/7", "/categories", "/products?q=lamp&facets=true"]


@pytest.fixture
def get(client, auth):

    def get(path, **headers):
        return client.get(path, headers={**auth.bearer(), **headers})

    return get


def assert_cached_by_gateway(headers):
    kept = [(name, value) for name, value in headers.items() if name in {"Cache-Control", "X-Accel-Expires"}]
    # nginx uses X-Accel-Expires only if it precedes Cache-Control.
    (first, until), (second, control) = kept
    assert (first, second) == ("X-Accel-Expires", "Cache-Control")
    assert control == "private, no-cache, stale-while-revalidate=1"
    assert time.time() - 2 < int(until.removeprefix("@")) <= time.time()


@pytest.mark.parametrize("path", PATHS)
def test_an_unchanged_response_is_not_sent_again(get, path):
    first = get(path)
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    again = get(path, **{"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    for answer in (first, again):
        assert answer.headers["ETag"] == tag
        assert_cached_by_gateway(answer.headers)
    assert get(path, **{"If-None-Match": '"other", W/"more"'}).status_code == 200


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.1", "*"])
def test_a_long_response_is_compressed_if_the_client_accepts_gzip(get, accepted):
    plain = get("/products?limit=30")
    packed = get("/products?limit=30", **{"Accept-Encoding": accepted})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert packed.headers["Content-Length"] == str(len(packed.data))
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert_cached_by_gateway(packed.headers)
    again = get("/products?limit=30", **{"Accept-Encoding": accepted, "If-None-Match": plain.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Encoding" not in again.headers
    for answer in (plain, packed, again):
        assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("/products?limit=30", "identity"),
        ("/products?limit=30", "gzip;q=0"),
        ("/products?limit=30", "br"),
        ("/products/7", "gzip"),
        ("/products/999", "gzip"),
    ],
)
def test_other_responses_are_not_compressed(get, path, accepted):
    answer = get(path, **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.json


def test_a_changed_product_is_sent_with_a_new_etag(get, database):
    tag = get("/products/7").headers["ETag"]
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET reserved = reserved + 1 WHERE id = 7"))
    answer = get("/products/7", **{"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != tag


def test_errors_are_not_cached(get):
    for path in ("/products/999", "/products?limit=0"):
        answer = get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not {"ETag", "X-Accel-Expires", "Catalog-Age"} & set(answer.headers.keys())


@pytest.mark.parametrize("path", PATHS)
def test_the_age_header_is_sent_only_while_the_source_fails(get, database, path):
    assert "Catalog-Age" not in get(path).headers
    with database.transaction() as connection:
        connection.execute(
            text("UPDATE source_copy SET failures = 1, copied_at = now() - interval '90 seconds'")
        )
    answer = get(path)
    assert 90 <= int(answer.headers["Catalog-Age"]) < 120
    again = get(path, **{"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert 90 <= int(again.headers["Catalog-Age"]) < 120


def test_the_age_header_is_sent_for_an_overdue_copy(catalogue, auth, upstream, copy, database):
    upstream.products = [{"id": 1, "title": "Thing", "price": 1}]
    client = catalogue.get(catalog_upstream_url=upstream.url, catalog_sync_seconds=1000).test_client()
    copy()
    assert client.get("/products", headers=auth.bearer()).status_code == 200
    for seconds, is_overdue in ((1500, False), (2500, True)):
        with database.transaction() as connection:
            connection.execute(
                text("UPDATE source_copy SET copied_at = now() - make_interval(secs => :seconds)"),
                {"seconds": seconds},
            )
        assert ("Catalog-Age" in client.get("/products", headers=auth.bearer()).headers) is is_overdue
        assert ("overdue" in client.get("/readyz").json["remarks"].get("source", "")) is is_overdue


def test_the_verdict_matches_the_access_to_the_lists(client, auth):
    def send(path, headers):
        answer = client.get(path, headers=headers)
        return answer.status_code if answer.status_code < 400 else (answer.status_code, answer.json["code"])

    for headers, verdict in [
        (auth.bearer(role="guest"), 204),
        (auth.bearer(role="admin"), 204),
        (auth.bearer(role="service", scope="logs:write products:read"), 204),
        (auth.bearer(role="service", scope="logs:write"), (403, "forbidden")),
        ({}, (401, "token_missing")),
        ({"Authorization": "Bearer wrong"}, (401, "token_invalid")),
        (FakeAuth().bearer(), (401, "token_invalid")),
    ]:
        assert send("/verdict", headers) == verdict
        assert send("/products", headers) == (200 if verdict == 204 else verdict)
        assert send("/categories", headers) == (200 if verdict == 204 else verdict)


def test_a_verdict_needs_no_database_and_writes_no_log_record(start_catalog, auth, capsys):
    app = start_catalog(database_url="postgresql://127.0.0.1:9/none")
    app.background.stop()
    client = app.test_client()
    assert client.get("/products", headers=auth.bearer()).status_code == 503
    capsys.readouterr()
    answer = client.get("/verdict", headers=auth.bearer())
    assert (answer.status_code, answer.data) == (204, b"")
    messages = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert not [message for message in messages if "verdict" in message]
