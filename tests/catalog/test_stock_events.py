"""An event is recorded when the stock of a variant falls to its threshold, and reported to orders-service."""

import json
import threading
from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import pytest
from sqlalchemy import text

from catalog.use_cases.events import sweep_events
from tests.catalog.fake_source import reserve
from tests.catalog.rows import begin_catalogue, put_products
from tests.catalog.test_low_stock import SIZES, Admin
from tests.conftest import send_json
from tests.waiting import wait_for


@pytest.fixture
def admin(client, auth):
    return Admin(client, auth)


def read_events(database):
    """Return the events, oldest first."""
    with database.transaction() as connection:
        return connection.execute(text("SELECT * FROM outbox ORDER BY id")).all()


def run_sql(database, statement, **values):
    with database.transaction() as connection:
        connection.execute(text(statement), values)


def test_a_fall_to_the_threshold_is_an_event_and_nothing_else_is(admin, database):
    begin_catalogue(database)
    mug = admin.create(on_hand=9, low_stock_threshold=4)["id"]
    stock = f"/products/{mug}/stock"
    counts = []

    def note(step):
        counts.append((step, len(read_events(database))))

    note("a new variant")
    reserve(database, uuid4(), {mug: 4})
    note("5 left, one above the threshold")
    reserve(database, uuid4(), {mug: 1})
    note("4 left")
    reserve(database, uuid4(), {mug: 1})
    note("3 left, still low")
    admin.send("PUT", stock, {"on_hand": 20})
    note("14 left")
    admin.send("PUT", stock, {"on_hand": 7})
    note("1 left")
    admin.send("PUT", stock, {"on_hand": 20})
    admin.send("PATCH", f"/products/{mug}", {"version": 1, "low_stock_threshold": 50})
    note("a higher threshold")
    admin.send("PATCH", f"/products/{mug}", {"version": 2, "low_stock_threshold": None})
    admin.send("PUT", stock, {"on_hand": 6})
    note("no threshold")
    run_sql(
        database, "UPDATE products SET on_hand = on_hand + 1, low_stock_threshold = 50 WHERE id = :id", id=mug
    )
    note("more units, and a threshold")
    assert counts == [
        ("a new variant", 0),
        ("5 left, one above the threshold", 0),
        ("4 left", 1),
        ("3 left, still low", 1),
        ("14 left", 1),
        ("1 left", 2),
        ("a higher threshold", 2),
        ("no threshold", 2),
        ("more units, and a threshold", 2),
    ]


def test_an_event_has_the_variant_as_the_list_of_low_stock_showed_it(admin, database):
    variants = [
        {"options": {"Size": size}, "price": 5, "on_hand": 3, "low_stock_threshold": 1} for size in "SM"
    ]
    shirt = admin.create(title="Shirt", options=SIZES, variants=variants)["id"]
    small, medium = (each["id"] for each in admin.send("GET", f"/products/{shirt}/variants")["data"])
    listed = []
    for variant in (small, medium):
        admin.send("PUT", f"/products/{shirt}/variants/{variant}/stock", {"on_hand": 1})
        listed += [each for each in admin.low()["data"] if each["variant_id"] == variant]
    # What happens later does not change it.
    admin.send("PUT", f"/products/{shirt}/variants/{medium}/stock", {"on_hand": 0})
    events = read_events(database)
    assert [each.data for each in events] == listed
    assert [(each.kind, each.subject) for each in events] == [
        ("stock.low", f"variant {small}"),
        ("stock.low", f"variant {medium}"),
    ]


def test_a_variant_that_is_not_for_sale_has_no_event(admin, database):
    removed = admin.create(on_hand=9, low_stock_threshold=4)["id"]
    admin.send("DELETE", f"/products/{removed}", status=204)
    variants = [
        {"options": {"Size": size}, "price": 5, "on_hand": 9, "low_stock_threshold": 4} for size in "SML"
    ]
    shirt = admin.create(title="Shirt", options=SIZES, variants=variants)["id"]
    small, medium, _ = (each["id"] for each in admin.send("GET", f"/products/{shirt}/variants")["data"])
    admin.send("DELETE", f"/products/{shirt}/variants/{medium}", status=204)
    run_sql(database, "UPDATE products SET on_hand = 1 WHERE id IN (:one, :two)", one=removed, two=medium)
    assert read_events(database) == []
    # Of a removed product, also a further variant.
    admin.send("DELETE", f"/products/{shirt}", status=204)
    run_sql(database, "UPDATE products SET on_hand = 1 WHERE parent_id = :shirt", shirt=shirt)
    assert read_events(database) == []
    assert small == shirt


def test_an_event_is_undone_with_its_reservation(database):
    put_products(database, {"id": 1, "on_hand": 5})
    run_sql(database, "UPDATE products SET low_stock_threshold = 4 WHERE id = 1")
    with database.engine.connect() as connection:
        connection.execute(text("UPDATE products SET reserved = 1 WHERE id = 1"))
        assert connection.execute(text("SELECT count(*) FROM outbox")).scalar_one() == 1
        connection.rollback()
    assert read_events(database) == []


def test_two_reservations_at_the_same_time_cross_the_threshold_once(database):
    begin_catalogue(database)
    put_products(database, {"id": 1, "on_hand": 10})
    run_sql(database, "UPDATE products SET low_stock_threshold = 8 WHERE id = 1")
    threads = [threading.Thread(target=reserve, args=(database, uuid4(), {1: 1})) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.data["stock"] for each in read_events(database)] == [8]


@pytest.fixture
def reports(fake_server):
    """The reports that orders-service got; it answers with the next of `statuses`, then with 204."""
    found, fake_server.statuses = [], []

    def answer(handler, body):
        if handler.path == "/auth/token":
            send_json(handler, json.dumps({"access_token": "of-catalog", "expires_in": 600}).encode())
            return
        found.append((handler.path, handler.headers["X-Service-Authorization"], json.loads(body)))
        handler.send_response(fake_server.statuses.pop(0) if fake_server.statuses else 204)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    fake_server.answer = answer
    return found


def test_an_event_is_reported_until_it_is_accepted_always_with_its_id(
    start_catalog, database, fake_server, reports, monkeypatch
):
    monkeypatch.setattr("shared.outbox.FIRST_WAIT", timedelta(milliseconds=20))
    put_products(database, {"id": 1, "on_hand": 5})
    fake_server.statuses = [404, 500]
    with patch("shared.courier.LOOK_EVERY", 0.05):
        start_catalog(orders_url=fake_server.url, auth_url=fake_server.url)
    run_sql(database, "UPDATE products SET low_stock_threshold = 4 WHERE id = 1")
    run_sql(database, "UPDATE products SET reserved = 1 WHERE id = 1")
    wait_for(lambda: read_events(database)[0].state == "sent")
    [event] = read_events(database)
    assert {(path, token) for path, token, _ in reports} == {("/internal/events", "Bearer of-catalog")}
    bodies = [body for _, _, body in reports]
    assert bodies == [bodies[0]] * 3
    assert bodies[0]["id"] == str(event.id)
    assert (bodies[0]["type"], bodies[0]["subject"]) == ("stock.low", "variant 1")
    assert bodies[0]["data"] == event.data


def test_events_of_more_than_thirty_days_ago_are_deleted(database):
    put_products(database, {"id": 1, "on_hand": 5})
    run_sql(database, "UPDATE products SET low_stock_threshold = 4 WHERE id = 1")
    for reserved in (1, 0, 1):
        run_sql(database, "UPDATE products SET reserved = :reserved WHERE id = 1", reserved=reserved)
    old, _ = read_events(database)
    run_sql(database, "UPDATE outbox SET id = uuidv7(interval '-31 days') WHERE id = :id", id=old.id)
    sweep_events(database)
    assert len(read_events(database)) == 1
