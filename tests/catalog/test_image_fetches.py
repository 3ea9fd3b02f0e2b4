"""Images of a product source, which the shop fetches once."""

import json

import pytest

from catalog.clients import MAX_IMAGE_BYTES, ImageClient
from catalog.encoder import Encoder
from catalog.use_cases.fetches import ATTEMPTS, Fetcher
from tests.catalog.drawn import draw, make_bomb
from tests.catalog.upstreams import execute, make_product, read_page
from tests.conftest import send_json
from tests.waiting import wait_for


class ImageHost:
    """A product source that also serves files by their path."""

    def __init__(self, server):
        self.url = server.url
        self.server = server
        self.products = []
        self.files = {}
        server.answer = self._answer

    def _answer(self, handler, _body):
        if handler.path.startswith("/products"):
            page = read_page(handler, self.products)
            send_json(handler, json.dumps({"products": page, "total": len(self.products)}).encode())
            return
        status, data = self.files.get(handler.path, (404, b""))
        handler.send_response(status)
        if status == 302:
            handler.send_header("Location", f"{self.url}/a.png")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def count(self, path):
        return sum(1 for _, asked, _, _ in self.server.requests if asked == path)


@pytest.fixture
def host(fake_server):
    return ImageHost(fake_server)


@pytest.fixture
def fetch(database, host, copy):
    """Copy the source, then fetch what is due; return the number of stored images."""
    fetcher = Fetcher(database, ImageClient(host.url), Encoder(), lambda: False)

    def fetch():
        copy()
        return fetcher.fetch_images()

    return fetch


@pytest.fixture
def show(catalogue, host, auth):
    client = catalogue.get(catalog_upstream_url=host.url).test_client()
    return lambda number=1: client.get(f"/products/{number}", headers=auth.bearer()).json


def make_due(database):
    execute(database, "UPDATE product_images SET due_at = now() WHERE due_at IS NOT NULL")


def test_an_image_of_the_source_is_fetched_once_and_served_by_the_shop(fetch, host, show):
    urls = [f"{host.url}/a.png", f"{host.url}/b.png"]
    host.products = [make_product(1, images=urls), make_product(2, images=urls[:1])]
    host.files = {"/a.png": (200, draw(size=(30, 20))), "/b.png": (200, draw(size=(20, 20)))}
    assert fetch() == 2
    shown = show()
    assert [(each["width"], each["height"]) for each in shown["media"]] == [(30, 20), (20, 20)]
    # The source's absolute URLs, even of localhost, are not shown.
    assert shown["images"] == [each["urls"]["1200"] for each in shown["media"]]
    assert all(url.startswith("/images/") for url in shown["images"])
    assert show(2)["images"] == shown["images"][:1]
    # Later copies and products that name the same URL fetch nothing.
    host.products.append(make_product(3, images=urls))
    assert fetch() == 0
    assert show(3)["images"] == shown["images"]
    assert (host.count("/a.png"), host.count("/b.png")) == (1, 1)


def test_a_copy_does_not_count_fetched_images_as_a_change(fetch, host, copy):
    host.products = [make_product(1, images=[f"{host.url}/a.png"])]
    host.files = {"/a.png": (200, draw())}
    assert fetch() == 1
    assert copy().changed == 0


def test_files_that_fail_a_check_are_not_fetched_again(fetch, host, show, database):
    port = int(host.url.rpartition(":")[2])
    cases = {
        f"{host.url}/script.svg": "The file is not a PNG, JPEG, WebP or GIF image.",
        f"{host.url}/bomb.png": "The image has more than 50 megapixels.",
        f"{host.url}/large.png": "The image is larger than 10 MiB.",
        f"{host.url}/moved.png": "The host of the image answered 302.",
        f"{host.url}/gone.png": "The host of the image answered 404.",
        # The rule against private addresses; only the source's own host and port are allowed.
        f"http://127.0.0.1:{port + 1}/a.png": "The host has no public address.",
        f"http://localhost:{port}/a.png": "The host has no public address.",
        "http://169.254.169.254/latest": "The host has no public address.",
        f"http://ada:secret@127.0.0.1:{port}/a.png": "The URL needs a host in ASCII, without a user name.",
    }
    host.products = [make_product(1, images=[*cases, "/images/kit-0001.svg", "relative.png", "data:,x"])]
    host.files = {
        "/script.svg": (200, b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>"),
        "/bomb.png": (200, make_bomb(20_000, 20_000)),
        "/large.png": (200, b"x" * (MAX_IMAGE_BYTES + 1)),
        "/moved.png": (302, b""),
        "/a.png": (200, draw()),
    }
    assert fetch() == 0
    rows = execute(database, "SELECT url, detail, due_at FROM product_images").all()
    assert {row.url: row.detail for row in rows} == cases
    assert [row.url for row in rows if row.due_at is not None] == []
    asked = len(host.server.requests)
    make_due(database)
    assert fetch() == 0
    # One more page of products, and no file.
    assert len(host.server.requests) == asked + 1
    assert show()["images"] == host.products[0]["images"]
    assert show()["media"] == []


def test_a_failing_host_is_asked_again_later_but_not_forever(fetch, host, database):
    host.products = [make_product(1, images=[f"{host.url}/a.png"])]
    host.files = {"/a.png": (503, b"")}
    for attempt in range(1, ATTEMPTS + 1):
        assert fetch() == 0
        assert host.count("/a.png") == attempt
        # It is not due yet.
        fetch()
        assert host.count("/a.png") == attempt
        make_due(database)
    fetch()
    assert host.count("/a.png") == ATTEMPTS
    [row] = execute(database, "SELECT detail, due_at FROM product_images").all()
    assert tuple(row) == ("The host of the image answered 503.", None)


def test_a_host_that_recovers_is_fetched(fetch, host, database, show):
    host.products = [make_product(1, images=[f"{host.url}/a.png"])]
    host.files = {"/a.png": (500, b"")}
    assert fetch() == 0
    host.files = {"/a.png": (200, draw())}
    make_due(database)
    assert fetch() == 1
    assert len(show()["media"]) == 1


def test_images_that_an_editor_names_are_not_fetched(fetch, host, database, show):
    host.products = [make_product(1, images=[]), make_product(2)]
    fetch()
    execute(
        database,
        f"UPDATE products SET images = ARRAY['{host.url}/a.png'], edited = ARRAY['images'] WHERE id = 1",
    )
    host.files = {"/a.png": (200, draw())}
    assert fetch() == 0
    assert host.count("/a.png") == 0
    assert show()["images"] == [f"{host.url}/a.png"]


SHOPIFY = """Handle,Title,Option1 Name,Option1 Value,Variant Price,Variant SKU,Image Src,Image Alt Text
shirt,Shirt,Size,S,19.90,SHIRT-S,{url}/front.png?v=1,The front
shirt,,,M,19.90,SHIRT-M,{url}/back.png?v=1,
mug,Mug,Title,Default Title,9.90,MUG,{url}/gone.png,
"""


def test_the_images_of_an_import_are_fetched_once_and_exported_as_they_were(host, catalogue, auth, database):
    client = catalogue.get(catalog_upstream_url=host.url).test_client()
    headers = {**auth.bearer(role="admin"), "Content-Type": "text/csv"}
    host.files = {
        "/front.png?v=1": (200, draw(size=(30, 20))),
        "/back.png?v=1": (200, draw(size=(20, 20))),
    }
    fetcher = Fetcher(database, ImageClient(host.url), Encoder(), lambda: False)
    for stored in (2, 0):
        file = SHOPIFY.format(url=host.url)
        done = client.post("/products/import", data=file, headers=headers)
        assert json.loads(done.text.splitlines()[-1])["status"] == "done", done.text
        assert fetcher.fetch_images() == stored
    shirt = client.get("/products/by-slug/shirt", headers=headers).json
    assert [(each["width"], each["alt"]) for each in shirt["media"]] == [(30, "The front"), (20, "")]
    assert shirt["images"] == [each["urls"]["1200"] for each in shirt["media"]]
    assert client.get("/products/by-slug/mug", headers=headers).json["images"] == [f"{host.url}/gone.png"]
    assert [host.count(path) for path in (*host.files, "/gone.png")] == [1, 1, 1]
    exported = client.get("/products/export", headers={**headers, "Accept": "text/csv"}).text
    assert f"{host.url}/front.png?v=1" in exported


def test_an_import_reaches_no_private_address(host, catalogue, auth, database):
    """Without a product source, no private host is allowed."""
    client = catalogue.get().test_client()
    headers = {**auth.bearer(role="admin"), "Content-Type": "text/csv"}
    host.files = {"/front.png?v=1": (200, draw())}
    assert (
        client.post("/products/import", data=SHOPIFY.format(url=host.url), headers=headers).status_code == 200
    )
    assert Fetcher(database, ImageClient(None), Encoder(), lambda: False).fetch_images() == 0
    rows = execute(database, "SELECT DISTINCT detail, due_at FROM product_images").all()
    assert [tuple(row) for row in rows] == [("The host has no public address.", None)]
    assert host.server.requests == []


def test_a_fetched_image_is_described_moved_and_removed(fetch, host, catalogue, auth, copy):
    urls = [f"{host.url}/a.png", f"{host.url}/b.png"]
    host.products = [make_product(1, images=urls)]
    host.files = {"/a.png": (200, draw(size=(30, 20))), "/b.png": (200, draw(size=(20, 20)))}
    assert fetch() == 2
    client = catalogue.get(catalog_upstream_url=host.url).test_client()
    headers = auth.bearer(role="admin")

    def read():
        return client.get("/products/1", headers=headers).json

    first, second = read()["media"]
    client.patch(f"/products/1/images/{second['id']}", headers=headers, json={"alt": "Side", "position": 0})
    assert [each["alt"] for each in read()["media"]] == ["Side", ""]
    assert client.delete(f"/products/1/images/{first['id']}", headers=headers).status_code == 204
    copy()
    # It counts as an edit, which the copy keeps.
    assert [each["id"] for each in read()["media"]] == [second["id"]]


def test_two_replicas_fetch_an_image_once(fetch, host, concurrently, copy):
    urls = [f"{host.url}/{number}.png" for number in range(6)]
    host.products = [make_product(1, images=urls)]
    host.files = {f"/{number}.png": (200, draw(size=(10 + number, 9))) for number in range(6)}
    copy()
    tasks = [
        lambda database: Fetcher(database, ImageClient(host.url), Encoder(), lambda: False).fetch_images()
    ] * 2
    assert sum(concurrently(*tasks)) == 6
    assert [host.count(f"/{number}.png") for number in range(6)] == [1] * 6


def test_a_stopping_service_fetches_nothing_more(host, database, copy):
    host.products = [make_product(1, images=[f"{host.url}/a.png"])]
    host.files = {"/a.png": (200, draw())}
    copy()
    assert Fetcher(database, ImageClient(host.url), Encoder(), lambda: True).fetch_images() == 0
    assert host.count("/a.png") == 0


def test_a_service_with_a_source_fetches_in_the_background(start_catalog, host, database):
    host.products = [make_product(1, images=[f"{host.url}/a.png"])]
    host.files = {"/a.png": (200, draw())}
    app = start_catalog(catalog_upstream_url=host.url)

    def is_stored():
        app.background.nudge()
        return execute(database, "SELECT count(*) FROM image_files").scalar() == 1

    wait_for(is_stored)
