"""Uploads to one replica, which has 256 MB."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from PIL import Image

from tests.catalog.drawn import draw, encode
from tests.stacks import Shopper

pytestmark = pytest.mark.shop

MIB = 1024 * 1024
UPLOADS = 16


def measure(processes):
    """Return the memory of processes in MiB; shared pages are counted once."""
    total = 0
    for each in processes:
        try:
            total += each.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total // MIB


def draw_large(number):
    """Return one of the largest images that a replica decodes."""
    image = Image.new("RGBA", (4096, 4096), (number * 9, 80, 120, 200))
    noise = Image.effect_noise((1400, 1400), 90)
    image.paste(Image.merge("RGBA", [noise] * 4), (0, 0))
    return encode(image, "PNG", compress_level=1)


@pytest.fixture
def admin(processes):
    with Shopper(processes.url) as shopper:
        shopper.log_in()
        yield shopper


@pytest.fixture
def product(admin):
    """The path of a product without images."""
    number = admin.post("/products", json={"title": "Pictured", "unit_amount": 100}).json()["id"]
    return f"/products/{number}"


def test_the_gateway_caches_an_image_and_may_serve_it_after_its_deletion(admin, product):
    image = admin.post(f"{product}/images", files={"image": ("a.png", draw(), "image/png")}).json()
    url = image["urls"]["480"]
    # A query does not make another entry.
    answers = [admin.get(url), admin.get(url), admin.get(f"{url}?x=1")]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT", "HIT"]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert {answer.headers["Content-Type"] for answer in answers} == {"image/webp"}
    assert admin.delete(f"{product}/images/{image['id']}").status_code == 204
    assert admin.get(f"{product}?as=edited").json()["media"] == []
    assert admin.get(url).headers["X-Cache"] == "HIT"
    # The pictures of the sample change with a release, and errors may pass.
    for path in ("/images/kit-0001.svg", f"/images/{'0' * 32}-480.webp"):
        assert [admin.get(path).headers["X-Cache"] for _ in range(2)] == ["MISS", "MISS"]


def test_an_upload_of_more_than_ten_mebibytes_is_refused_by_the_gateway(admin, product):
    answer = admin.post(f"{product}/images", data=bytes(10 * MIB + 1), headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")


def test_sixteen_uploads_at_once_stay_below_a_containers_memory(processes, admin, record_property):
    product = admin.post("/products", json={"title": "Large", "unit_amount": 100}).json()["id"]
    replica = psutil.Process(processes.find_pid("catalog-service"))
    parts = [replica, *replica.children(recursive=True)]
    files = [draw_large(number) for number in range(UPLOADS)]
    assert max(map(len, files)) < 10 * MIB
    peak, is_over = [measure(parts)], threading.Event()

    def watch():
        while not is_over.wait(0.01):
            peak.append(measure([replica, *replica.children(recursive=True)]))

    def upload(data):
        kind = {"Content-Type": "image/png"}
        with Shopper(processes.url) as other:
            other.cookies.update(admin.cookies)
            # An upload waits for its turn, up to the minute of the gateway.
            return other.post(f"/products/{product}/images", data=data, headers=kind, timeout=70)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(UPLOADS) as pool:
            sent = [pool.submit(upload, data) for data in files]
            # Meanwhile other requests are answered.
            shown = [admin.get("/products?limit=1&q=walnut").status_code for _ in range(5)]
            answers = [each.result() for each in sent]
    finally:
        is_over.set()
        watcher.join()
    record_property("peak_mib", max(peak))
    logging.getLogger("uploads").warning("%s MiB at rest, %s MiB at most", peak[0], max(peak))
    statuses = [answer.status_code for answer in answers]
    assert set(shown) == {200}
    assert set(statuses) <= {201, 503}
    assert statuses.count(201) >= 5, statuses
    assert {answer.json()["code"] for answer in answers if answer.status_code == 503} <= {"uploads_busy"}
    assert max(peak) < 256
    stored = admin.get(f"/products/{product}?as=edited").json()["media"]
    assert len(stored) == statuses.count(201)
