"""What a reader may keep, what the gateway may keep, and who may ask."""

import gzip
import json
import time

import pytest
from sqlalchemy import text

from shared.testing import FakeAuth
from tests.catalog.rows import put_products

PATHS = ["/products?limit=5", "/products/7", "/categories", "/products?q=lamp&facets=true"]


@pytest.fixture
def get(client, auth):

    def get(path, **headers):
        return client.get(path, headers={**auth.bearer(), **headers})

    return get


def assert_kept_by_gateway(headers):
    kept = [(name, value) for name, value in headers.items() if name in {"Cache-Control", "X-Accel-Expires"}]
    # In this order, or nginx would not heed the second.
    (first, until), (second, control) = kept
    assert (first, second) == ("X-Accel-Expires", "Cache-Control")
    assert control == "private, no-cache, stale-while-revalidate=1"
    assert time.time() - 2 < int(until.removeprefix("@")) <= time.time()


@pytest.mark.parametrize("path", PATHS)
def test_what_did_not_change_is_not_sent_again(get, path):
    first = get(path)
    tag = first.headers["ETag"]
    assert tag.startswith('W/"')
    again = get(path, **{"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    for answer in (first, again):
        assert answer.headers["ETag"] == tag
        assert_kept_by_gateway(answer.headers)
    assert get(path, **{"If-None-Match": '"other", W/"more"'}).status_code == 200


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.1", "*"])
def test_an_answer_that_is_long_enough_is_compressed_for_who_takes_it(get, accepted):
    plain = get("/products?limit=30")
    packed = get("/products?limit=30", **{"Accept-Encoding": accepted})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert packed.headers["Content-Length"] == str(len(packed.data))
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert_kept_by_gateway(packed.headers)
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
def test_all_else_is_sent_as_it_is(get, path, accepted):
    answer = get(path, **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert answer.json


def test_what_changed_is_sent_anew_with_another_tag(get, database):
    tag = get("/products/7").headers["ETag"]
    with database.transaction() as connection:
        connection.execute(text("UPDATE products SET reserved = reserved + 1 WHERE id = 7"))
    answer = get("/products/7", **{"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["ETag"] != tag


def test_an_error_is_kept_by_nobody(get):
    for path in ("/products/999", "/products?limit=0"):
        answer = get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not {"ETag", "X-Accel-Expires", "Catalog-Age"} & set(answer.headers.keys())


@pytest.mark.parametrize("path", PATHS)
def test_the_age_is_told_only_while_the_source_fails(get, database, path):
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


def test_the_age_is_told_of_a_copy_that_should_have_been_made_again(
    catalogue, auth, upstream, copy, database
):
    upstream.products = [{"id": 1, "title": "Thing", "price": 1}]
    client = catalogue.get(catalog_upstream_url=upstream.url, catalog_sync_seconds=1000).test_client()
    copy()
    assert client.get("/products", headers=auth.bearer()).status_code == 200
    for seconds, is_told in ((1500, False), (2500, True)):
        with database.transaction() as connection:
            connection.execute(
                text("UPDATE source_copy SET copied_at = now() - make_interval(secs => :seconds)"),
                {"seconds": seconds},
            )
        assert ("Catalog-Age" in client.get("/products", headers=auth.bearer()).headers) is is_told
        assert ("overdue" in client.get("/readyz").json["remarks"].get("source", "")) is is_told


def test_the_verdict_on_a_token_is_that_of_the_list(client, auth):
    def ask(path, headers):
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
        assert ask("/verdict", headers) == verdict
        assert ask("/products", headers) == (200 if verdict == 204 else verdict)
        assert ask("/categories", headers) == (200 if verdict == 204 else verdict)


def test_a_verdict_asks_no_database_and_leaves_no_record(start_catalog, auth, capsys):
    app = start_catalog(database_url="postgresql://127.0.0.1:9/none")
    app.background.stop()
    client = app.test_client()
    assert client.get("/products", headers=auth.bearer()).status_code == 503
    capsys.readouterr()
    answer = client.get("/verdict", headers=auth.bearer())
    assert (answer.status_code, answer.data) == (204, b"")
    messages = [json.loads(line)["message"] for line in capsys.readouterr().out.splitlines()]
    assert not [message for message in messages if "verdict" in message]


def test_an_integrator_may_read_and_nothing_else(client, auth, database):
    reader = auth.bearer(role="service", scope="products:read", client_id="a-partner")
    assert client.get("/products", headers=reader).status_code == 200
    put_products(database, {"id": 500})
    assert client.get("/products/500", headers=reader).status_code == 200
    assert client.get("/internal/prices?ids=1", headers=reader).status_code == 401
