"""Images of products: uploads, order, alt texts, deletion, and the files that customers load."""

import io
import json
import logging

import pytest
from sqlalchemy import text

from catalog.media import MOST_IMAGES
from catalog.routes.uploads import MAX_UPLOAD
from catalog.use_cases.images import sweep_images
from tests.catalog.drawn import draw, draw_noise, encode, make_bomb, open_webp
from tests.catalog.upstreams import execute

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


FORM = "multipart/form-data; boundary=edge"


def write_form(data):
    """Return a form with this file; the test client would write a large one into a temporary file."""
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    return head + data + b"\r\n--edge--\r\n"


@pytest.fixture
def headers(auth):
    return auth.bearer(role="admin")


@pytest.fixture
def product(client, headers):
    """The id of a product of the shop's own, without images."""
    made = client.post("/products", headers=headers, json={"title": "Kettle", "unit_amount": 900})
    return made.json["id"]


@pytest.fixture
def upload(client, headers, product):
    """Upload a file as a form, or with a type as it is."""

    def upload(data, *, kind=None, number=None, **fields):
        path = f"/products/{number or product}/images"
        if kind:
            return client.post(path, headers=headers, data=data, content_type=kind)
        form = {"image": (io.BytesIO(data), "photo.png"), **fields}
        return client.post(path, headers=headers, data=form)

    return upload


@pytest.fixture
def show(client, headers, product):
    """Return the product as customers see it."""
    return lambda number=None: client.get(f"/products/{number or product}", headers=headers).json


def test_an_uploaded_image_is_shown_with_its_alt_text_and_files(upload, show, client):
    made = upload(draw("JPEG", (1600, 800)), alt="  A copper kettle ")
    assert made.status_code == 201
    image = made.json
    assert (image["alt"], image["width"], image["height"]) == ("A copper kettle", 1200, 600)
    assert image["colour"] in {"#4080c0", "#3f80c0", "#4080c1", "#407fbf"}
    shown = show()
    assert shown["media"] == [image]
    assert shown["images"] == [image["urls"]["1200"]]
    for size, wanted in (("480", (480, 240)), ("1200", (1200, 600))):
        answer = client.get(image["urls"][size])
        assert (answer.status_code, answer.content_type) == (200, "image/webp")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert open_webp(answer.data).size == wanted
        again = client.get(image["urls"][size], headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_urls_of_images_are_relative_to_the_shop(upload, show):
    image = upload(draw()).json
    urls = [*image["urls"].values(), *show()["images"]]
    assert [url for url in urls if not url.startswith("/images/")] == []
    assert "http" not in json.dumps(show())


def test_a_body_may_be_the_file_itself_with_any_image_type(upload):
    wrong = {}
    for number, kind in enumerate(("image/png", "image/jpeg", "image/webp", "image/anything")):
        # The contents count, which are a PNG each time.
        status = upload(draw(size=(10 + number, 10)), kind=kind).status_code
        if status != 201:
            wrong[kind] = status
    assert wrong == {}


def test_uploads_that_are_no_images_are_refused(upload, show, client, headers, product):
    answers = {
        "SVG": upload(SVG, kind="image/svg+xml"),
        "SVG as PNG": upload(SVG, kind="image/png"),
        "SVG in a form": upload(SVG),
        "HTML as JPEG": upload(b"<script>alert(1)</script>", kind="image/jpeg"),
        "a bomb": upload(make_bomb(20_000, 20_000), kind="image/png"),
        "nothing": upload(b"", kind="image/png"),
        "another type": upload(draw(), kind="application/octet-stream"),
        "JSON": client.post(f"/products/{product}/images", headers=headers, json={"image": "x"}),
        "no file": client.post(
            f"/products/{product}/images",
            headers=headers,
            data={"alt": "x"},
            content_type="multipart/form-data",
        ),
        "no boundary": upload(draw(), kind="multipart/form-data"),
        "a long alt text": upload(draw(), alt="x" * 301),
        "an alt text of two lines": upload(draw(), alt="x\ny"),
        "too large": upload(b"x" * (MAX_UPLOAD + 1), kind="image/png"),
        "too large in a form": upload(write_form(b"x" * MAX_UPLOAD), kind=FORM),
    }
    assert {name: (answer.status_code, answer.json["code"]) for name, answer in answers.items()} == {
        **dict.fromkeys(answers, (422, "image_refused")),
        "another type": (415, "unsupported_media_type"),
        "JSON": (415, "unsupported_media_type"),
        "no file": (422, "validation_failed"),
        "no boundary": (400, "malformed_body"),
        "a long alt text": (422, "validation_failed"),
        "an alt text of two lines": (422, "validation_failed"),
        "too large": (413, "content_too_large"),
        "too large in a form": (413, "content_too_large"),
    }
    assert (show()["images"], show()["media"]) == ([], [])


def test_an_upload_that_takes_too_long_gives_up_its_turn(upload, monkeypatch):
    monkeypatch.setattr("catalog.routes.uploads.UPLOAD_SECONDS", -1)
    for answer in (upload(draw(), kind="image/png"), upload(draw())):
        assert (answer.status_code, answer.json["code"]) == (408, "upload_too_slow")
    monkeypatch.undo()
    assert upload(draw()).status_code == 201


def test_a_large_file_in_a_form_is_kept_in_memory(upload, monkeypatch):
    # The container's /tmp is memory, too; a temporary file would hold the upload a second time.
    def refuse(*_args, **_options):
        raise AssertionError("A temporary file was made.")

    for name in ("TemporaryFile", "SpooledTemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(f"tempfile.{name}", refuse)
        monkeypatch.setattr(f"werkzeug.formparser.{name}", refuse, raising=False)
    data = encode(draw_noise((1000, 1000)), "PNG")
    assert len(data) > 1024 * 1024
    assert upload(write_form(data), kind=FORM).status_code == 201


def test_an_image_needs_its_product(upload, client, headers, product):
    other = upload(draw()).json["id"]
    calls = {
        "POST unknown": upload(draw(), number=77_777),
        "POST too large a number": upload(draw(), number=2**70),
        "PATCH unknown": client.patch(f"/products/{product}/images/0", headers=headers, json={"alt": "x"}),
        "PATCH of another product": client.patch(f"/products/1/images/{other}", headers=headers, json={}),
        "DELETE of another product": client.delete(f"/products/1/images/{other}", headers=headers),
        "PATCH a huge number": client.patch(f"/products/{product}/images/{2**70}", headers=headers, json={}),
    }
    assert {name: answer.status_code for name, answer in calls.items()} == dict.fromkeys(calls, 404)


def test_the_same_image_is_stored_once(upload, show, database, monkeypatch):
    first = upload(draw(), alt="Front")
    # Decoding it again would fail now.
    monkeypatch.setattr("catalog.encoder.DECODER", "/nowhere")
    again = upload(draw(), alt="The front")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json == first.json | {"alt": "The front"}
    # Without an alt text the one that it has stays.
    assert upload(draw(), kind="image/png").json["alt"] == "The front"
    elsewhere = upload(draw(), number=1)
    assert elsewhere.status_code == 201
    assert elsewhere.json["urls"] == first.json["urls"]
    assert elsewhere.json["id"] != first.json["id"]
    assert [image["id"] for image in show()["media"]] == [first.json["id"]]
    assert execute(database, "SELECT count(*) FROM image_files").scalar() == 1


def test_images_are_reordered_and_a_list_has_the_first_one(upload, show, client, headers, product):
    images = [upload(draw(size=(10 + number, 10))).json for number in range(3)]
    ids = [image["id"] for image in images]

    def move(image, position):
        path = f"/products/{product}/images/{image['id']}"
        assert client.patch(path, headers=headers, json={"position": position}).status_code == 200
        return [each["id"] for each in show()["media"]]

    assert [each["id"] for each in show()["media"]] == ids
    assert move(images[2], 0) == [ids[2], ids[0], ids[1]]
    assert move(images[2], 1) == [ids[0], ids[2], ids[1]]
    assert move(images[0], 49) == [ids[2], ids[1], ids[0]]
    assert show()["images"] == [image["urls"]["1200"] for image in show()["media"]]
    [listed] = client.get("/products?category=other", headers=headers).json["data"]
    assert [each["id"] for each in listed["media"]] == [ids[2]]
    assert len(listed["images"]) == 3


def test_an_alt_text_is_changed_and_cleared(upload, show, client, headers, product):
    image = upload(draw(), alt="Before").json
    path = f"/products/{product}/images/{image['id']}"
    texts = {}
    for wanted in ("After", "  ", "“Kettle” <b>", None):
        answer = client.patch(path, headers=headers, json={"alt": wanted})
        texts[wanted] = (answer.json["alt"], show()["media"][0]["alt"])
    assert texts == {
        "After": ("After", "After"),
        "  ": ("", ""),
        "“Kettle” <b>": ("“Kettle” <b>", "“Kettle” <b>"),
        None: ("", ""),
    }
    refused = [
        {"alt": "x" * 301},
        {"alt": 5},
        {"position": -1},
        {"position": 50},
        {"position": True},
        {"x": 1},
    ]
    assert [client.patch(path, headers=headers, json=body).status_code for body in refused] == [422] * 6


def test_a_sample_image_stays_first_until_it_is_moved(upload, show, client, headers):
    image = upload(draw(), number=1).json
    assert show(1)["images"] == ["/images/kit-0001.svg", image["urls"]["1200"]]
    assert show(1)["media"] == [image]
    # The first image of the list is the sample's, which is no stored file.
    listed = client.get("/products?limit=1", headers=headers).json["data"][0]
    assert (listed["id"], listed["media"]) == (1, [])
    client.patch(f"/products/1/images/{image['id']}", headers=headers, json={"position": 0})
    listed = client.get("/products?limit=1", headers=headers).json["data"][0]
    assert (listed["images"][0], listed["media"]) == (image["urls"]["1200"], [image])


def test_images_count_as_an_edit_of_the_product(upload, client, headers, product):
    def read(number):
        # The admin's view is the answer to a change that changes nothing.
        version = client.get(f"/products/{number}", headers=headers).json["version"]
        return client.patch(f"/products/{number}", headers=headers, json={"version": version}).json

    before = read(1)["version"]
    upload(draw(), number=1)
    assert (read(1)["version"], read(1)["edited"]) == (before + 1, ["images"])


def test_a_product_has_at_most_fifty_images(upload, client, headers, product):
    urls = [f"/images/{number}.svg" for number in range(MOST_IMAGES)]
    changed = client.patch(f"/products/{product}", headers=headers, json={"version": 1, "images": urls})
    assert changed.status_code == 200
    assert upload(draw()).json["code"] == "too_many_images"


def test_a_deleted_image_leaves_the_product_but_its_file_stays_for_caches(
    upload, show, client, headers, product, database
):
    image = upload(draw()).json
    path = f"/products/{product}/images/{image['id']}"
    execute(database, "UPDATE image_files SET used_at = now() - interval '9 days'")
    assert client.delete(path, headers=headers).status_code == 204
    assert (show()["images"], show()["media"]) == ([], [])
    assert client.delete(path, headers=headers).status_code == 404
    # A page in a cache still names it.
    assert sweep_images(database) == 0
    assert client.get(image["urls"]["480"]).status_code == 200
    execute(database, "UPDATE image_files SET used_at = now() - interval '25 hours'")
    assert sweep_images(database) == 1
    gone = client.get(image["urls"]["480"])
    assert (gone.status_code, gone.headers["Cache-Control"]) == (404, "no-store")


def test_a_sweep_keeps_the_files_that_a_product_names(upload, show, client, headers, product, database):
    used, copied, unnamed, removed = (
        upload(draw(size=(20 + number, 9)), number=number_of).json
        for number, number_of in enumerate((product, 1, product, 2))
    )
    # Product 3 names a file of product 1, which then loses it.
    version = client.get("/products/3", headers=headers).json["version"]
    copy = {"version": version, "images": [copied["urls"]["1200"]]}
    assert client.patch("/products/3", headers=headers, json=copy).status_code == 200
    assert client.delete(f"/products/1/images/{copied['id']}", headers=headers).status_code == 204
    # A change of the list drops an image, and another product is removed.
    change = {"version": show()["version"], "images": [used["urls"]["1200"]]}
    assert client.patch(f"/products/{product}", headers=headers, json=change).status_code == 200
    assert client.delete("/products/2", headers=headers).status_code == 204
    execute(database, "UPDATE image_files SET used_at = now() - interval '2 days'")
    execute(database, "UPDATE product_images SET created_at = now() - interval '2 days'")
    assert sweep_images(database) == 0  # Their files have been in use until now.
    execute(database, "UPDATE image_files SET used_at = now() - interval '2 days'")
    assert sweep_images(database) == 2
    found = {
        name: client.get(image["urls"]["480"]).status_code
        for name, image in (("used", used), ("copied", copied), ("unnamed", unnamed), ("removed", removed))
    }
    assert found == {"used": 200, "copied": 200, "unnamed": 404, "removed": 404}
    assert [image["id"] for image in show()["media"]] == [used["id"]]


def test_two_sweeps_do_not_run_at_once(database, concurrently, upload):
    upload(draw())
    with database.transaction() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(5714006)"))
        assert concurrently(sweep_images) == [None]


def test_the_image_of_a_variant_is_cleared_with_the_image(upload, client, headers, product, database):
    image = upload(draw()).json
    execute(database, f"UPDATE products SET image_id = {image['id']} WHERE id = {product}")
    assert client.delete(f"/products/{product}/images/{image['id']}", headers=headers).status_code == 204
    assert execute(database, f"SELECT image_id FROM products WHERE id = {product}").scalar() is None


def test_an_export_with_images_changes_nothing_when_it_is_imported(upload, client, headers):
    upload(draw(), number=1)
    exported = client.get("/products/export", headers=headers).data
    loaded = client.post(
        "/products/import", headers=headers, data=exported, content_type="application/x-ndjson"
    )
    assert json.loads(loaded.data.splitlines()[-1])["changed"] == 0
    assert len(client.get("/products/1", headers=headers).json["media"]) == 1


def test_unknown_files_are_404(client, upload):
    digest = upload(draw()).json["urls"]["480"].split("/")[-1].split("-")[0]
    names = [
        f"{'0' * 32}-480",
        f"{digest}-600",
        f"{digest}-0480",
        f"{digest.upper()}-480",
        f"{digest}%00-480",
        "x-480",
        f"{digest}-{2**70}",
    ]
    found = {name: client.get(f"/images/{name}.webp").status_code for name in names}
    # A leading zero is the same number.
    assert found == {**dict.fromkeys(names, 404), f"{digest}-0480": 200}


def test_changes_of_images_are_logged(upload, client, headers, product, caplog):
    caplog.set_level(logging.INFO)
    image = upload(draw()).json["id"]
    client.patch(f"/products/{product}/images/{image}", headers=headers, json={"alt": "x"})
    client.delete(f"/products/{product}/images/{image}", headers=headers)
    logged = [
        (record.message, vars(record)["product.id"], vars(record)["image.id"])
        for record in caplog.records
        if "image.id" in vars(record)
    ]
    verbs = ("added", "changed", "removed")
    assert logged == [(f"An image was {verb}", product, image) for verb in verbs]
