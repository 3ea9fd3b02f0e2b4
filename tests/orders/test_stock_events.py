"""Events of the catalogue reach the webhooks that listen to them, once."""

from uuid import uuid4

import pytest

from shared.ids import new_id
from tests.orders.conftest import run_sql
from tests.orders.receivers import add_webhook, run_receiver

NOWHERE = "https://shop.invalid/"  # Its host never has an address.
VARIANT = {"variant_id": 7, "sku": "MUG", "stock": 2, "low_stock_threshold": 4}


@pytest.fixture
def receiver():
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture
def report(app, auth):
    """Report an event as catalog-service does; return the status."""

    def report(event_id=None, *, caller="catalog-service", **changes):
        body = {
            "id": str(event_id or new_id()),
            "type": "stock.low",
            "time": "2026-03-01T10:00:00.412000+00:00",
            "subject": "variant 7",
            "data": VARIANT,
            **changes,
        }
        client = app.test_client()
        return client.post("/internal/events", json=body, headers=auth.service_bearer(caller)).status_code

    return report


def read_messages(database):
    return run_sql(database, "SELECT id, kind, subject, endpoint FROM outbox ORDER BY id")


def test_an_event_reaches_each_webhook_that_listens_to_it(admin, report, receiver):
    secrets = {}
    for path, events in (("/low", ("stock.low",)), ("/stock", ("stock.*",)), ("/all", ("*",))):
        secrets[path] = add_webhook(admin, receiver.url(path), events)["secret"]
    add_webhook(admin, receiver.url("/orders"), ("order.*",))
    assert report() == 204
    messages = receiver.wait_for(3)
    assert sorted(message.path for message in messages) == ["/all", "/low", "/stock"]
    for message in messages:
        assert message.is_signed_with(secrets[message.path])
        assert message.json == {
            "type": "stock.low",
            "timestamp": "2026-03-01T10:00:00.412Z",
            "version": 1,
            "data": VARIANT,
        }


def test_a_repeated_event_is_recorded_once_per_webhook(admin, database, report):
    first, second = (add_webhook(admin, NOWHERE) for _ in range(2))
    event = new_id()
    assert [report(event) for _ in range(3)] == [204] * 3
    messages = read_messages(database)
    assert sorted(each.endpoint for each in messages) == sorted([first["id"], second["id"]])
    report(new_id())
    assert len(read_messages(database)) == 4


def test_the_messages_of_a_variant_are_in_the_order_of_its_events(admin, database, report):
    add_webhook(admin, NOWHERE)
    run_sql(database, "UPDATE outbox_endpoints SET paused_until = now() + interval '1 hour'")
    events = [new_id() for _ in range(5)]
    # A lost answer can make reports arrive in another order.
    for event in reversed(events):
        report(event, data={"event": str(event)})
    stored = run_sql(database, "SELECT data->'data'->>'event' AS event FROM outbox ORDER BY id")
    times = [each.event[:13] for each in stored]
    assert times == sorted(times)
    assert len(stored) == 5


def test_an_event_without_a_listener_leaves_nothing(admin, database, report):
    add_webhook(admin, NOWHERE, ("order.*",))
    off = add_webhook(admin, NOWHERE)
    admin.call("PATCH", f"/webhooks/{off['id']}", json={"active": False})
    assert report() == 204
    assert read_messages(database) == []


def test_events_are_of_the_catalogue_and_of_the_stock(report):
    assert report(caller="payments-service") == 403
    wrong = {
        "another kind": report(type="order.paid"),
        "no id": report("x"),
        "a time without an offset": report(time="2026-03-01T10:00:00"),
        "no subject": report(subject=""),
        "a list": report(data=[]),
    }
    assert wrong == dict.fromkeys(wrong, 422)
    # A newer catalogue may know more.
    assert report(uuid4(), type="stock.out", more=1) == 204
