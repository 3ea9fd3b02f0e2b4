"""Webhooks: what an admin can do with them, and what a receiver gets."""

import base64
import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from orders.webhooks import TYPES, sign
from tests.orders.conftest import Buyer, create_quick_app, read_status, run_sql
from tests.orders.receivers import add_webhook, list_deliveries, run_receiver, wait_for_state
from tests.waiting import wait_for

URL = "https://93.184.216.34/hook"


@pytest.fixture
def receiver():
    with run_receiver() as receiver:
        yield receiver


@pytest.fixture
def strict_admin(standing, auth, catalog, payments):
    """An admin of a shop in production that allows no private addresses."""
    settings = standing.settings.model_copy(update={"webhook_private": "no", "shopfleet_env": "production"})
    app = create_quick_app(settings, auth, catalog, payments)
    yield Buyer(app, auth, "boss", role="admin")
    app.close()


def test_a_webhook_is_created_listed_changed_and_deleted_and_its_secret_shown_once(admin):
    made = admin.call(
        "POST", "/webhooks", json={"url": URL, "events": ["order.*", "stock.low"], "description": " ERP "}
    )
    assert made.status_code == 201
    path = made.headers["Location"]
    assert path == f"/webhooks/{made.json['id']}"
    secret = made.json["secret"]
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    shown = admin.get(path).json
    assert {**shown, "secret": secret} == made.json
    assert shown["description"] == "ERP"
    assert (shown["active"], shown["waiting"], shown["dead"], shown["error"]) == (True, 0, 0, None)
    assert admin.get("/webhooks").json == {"data": [shown], "next": None}
    changed = admin.call("PATCH", path, json={"events": ["*"], "description": ""}).json
    assert (changed["url"], changed["events"], changed["description"]) == (URL, ["*"], None)
    assert admin.call("DELETE", path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.call("DELETE", path).status_code == 404
    assert admin.get("/webhooks").json["data"] == []
    texts = [admin.get(each).text for each in (path, "/webhooks")]
    assert not [text for text in texts if secret in text]


def test_invalid_webhooks_are_refused_by_field(admin):
    cases = {
        "an unknown type": ({"events": ["order.lost"]}, "events"),
        "a type in capitals": ({"events": ["ORDER.PAID"]}, "events"),
        "a pattern of our own": ({"events": ["order.pa*"]}, "events"),
        "no type": ({"events": []}, "events"),
        "another scheme": ({"url": "ftp://erp.example/"}, "url"),
        "no host": ({"url": "https:///hook"}, "url"),
        "a user name": ({"url": "https://ada:secret@erp.example/"}, "url"),
        "a fragment": ({"url": "https://erp.example/#x"}, "url"),
        "a space": ({"url": "https://erp.example/a b"}, "url"),
        "a line break": ({"url": "https://erp.example/\nx"}, "url"),
        "a port that there is not": ({"url": "https://erp.example:99999/"}, "url"),
        "a host that is not ASCII": ({"url": "https://erp\u00e4.example/"}, "url"),
        "null": ({"url": None}, "url"),
        "a long URL": ({"url": f"https://erp.example/{'x' * 2000}"}, "url"),
    }
    made = add_webhook(admin, URL)
    wrong = {}
    for name, (members, field) in cases.items():
        for method, path, body in (
            ("POST", "/webhooks", {"url": URL, "events": ["*"], **members}),
            ("PATCH", f"/webhooks/{made['id']}", members),
        ):
            answer = admin.call(method, path, json=body)
            fields = [entry["field"].partition(".")[0] for entry in answer.json.get("errors", [])]
            if (answer.status_code, fields) != (422, [field]):
                wrong[name, method] = answer.status_code, answer.json
    assert wrong == {}
    assert admin.get("/webhooks").json["data"] == [{k: v for k, v in made.items() if k != "secret"}]


def test_every_known_type_is_accepted(admin):
    assert add_webhook(admin, URL, TYPES)["events"] == list(TYPES)


def test_a_shop_has_at_most_twenty_webhooks(admin):
    for _ in range(20):
        add_webhook(admin, URL)
    refused = admin.call("POST", "/webhooks", json={"url": URL, "events": ["*"]})
    assert (refused.status_code, refused.json["code"]) == (409, "webhooks_full")


def test_a_private_address_is_refused_at_once_and_the_answer_says_why(strict_admin):
    hosts = [
        *("127.0.0.1", "10.1.2.3", "192.168.0.9", "169.254.169.254", "2130706433", "127.1", "localhost"),
        *("[::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[fe80::1]"),
    ]
    wrong = {}
    for host in hosts:
        answer = strict_admin.call("POST", "/webhooks", json={"url": f"https://{host}/", "events": ["*"]})
        details = [entry["detail"] for entry in answer.json.get("errors", [])]
        if answer.status_code != 422 or "no public address" not in details[0]:
            wrong[host] = answer.json
    assert wrong == {}
    plain = strict_admin.call(
        "POST", "/webhooks", json={"url": URL.replace("https", "http"), "events": ["*"]}
    )
    assert plain.status_code == 422
    assert "https://" in plain.json["errors"][0]["detail"]
    assert add_webhook(strict_admin, URL)["url"] == URL


def test_the_address_of_cloud_metadata_is_refused_even_where_private_ones_are_allowed(admin):
    for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"):
        answer = admin.call("POST", "/webhooks", json={"url": f"http://{host}/", "events": ["*"]})
        assert answer.status_code == 422, host


def test_an_independent_receiver_verifies_a_message(admin, buyer, receiver):
    webhook = add_webhook(admin, receiver.url(), ("order.confirmed",))
    buyer.order()
    [message] = receiver.wait_for(1)
    assert message.is_signed_with(webhook["secret"])
    assert not message.is_signed_with("whsec_" + base64.b64encode(b"x" * 32).decode())
    assert message.headers["Content-Type"] == "application/json"
    assert message.headers["User-Agent"].startswith("Shopfleet/")
    assert message.headers["webhook-attempt"] == "1"
    [delivery] = wait_for_state(admin, webhook, "sent")
    assert delivery["id"] == message.id
    assert delivery["body"] == message.body.decode()


def test_the_signature_is_that_of_the_published_example():
    """From the specification's repository: its secret, id, time and body."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_event_has_the_whole_order_as_the_api_answered_then(admin, buyer, receiver):
    add_webhook(admin, receiver.url(), ("order.*",))
    location = buyer.order(items=((1, 2), (2, 1)), note="Ring twice.").headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    orders = {"order.paid": admin.get(location).json}
    for step, type_ in (("ship", "order.shipped"), ("deliver", "order.delivered")):
        admin.post(f"{location}/{step}")
        orders[type_] = admin.get(location).json
    assert admin.call("POST", f"{location}/refund", key="one", json={}).status_code == 200
    orders["order.refunded"] = admin.get(location).json
    bodies = {message.json["type"]: message.json for message in receiver.wait_for(5)}
    assert list(bodies) == [
        "order.confirmed",
        "order.paid",
        "order.shipped",
        "order.delivered",
        "order.refunded",
    ]
    # `updated_at` is that of the event, and a refund goes on after it.
    assert {type_: bodies[type_]["data"] for type_ in orders} == orders
    assert bodies["order.confirmed"]["data"]["status"] == "confirmed"
    assert [body["version"] for body in bodies.values()] == [1] * 5
    events = {event["id"]: event for event in admin.get(f"{location}/events").json["data"]}
    for body in bodies.values():
        told = body["event"]
        known = events[told["id"]]
        assert told == {name: known[name] for name in ("id", "kind", "from", "to", "time", "detail")}
        assert body["timestamp"] == told["time"]


def test_a_message_is_as_the_order_was_at_its_event_and_not_at_its_sending(database, admin, buyer, receiver):
    """WooCommerce sent the state at the time of sending (issue 26612)."""
    webhook = add_webhook(admin, receiver.url(), ("order.*",))
    pause = "UPDATE outbox_endpoints SET paused_until = now() + interval '{}' WHERE channel = 'webhook'"
    run_sql(database, pause.format("1 hour"))
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    admin.post(f"{location}/ship")
    assert receiver.messages == []
    run_sql(database, pause.format("0"))
    sent = [(each.json["type"], each.json["data"]["status"]) for each in receiver.wait_for(3)]
    assert sent == [
        ("order.confirmed", "confirmed"),
        ("order.paid", "paid"),
        ("order.shipped", "shipped"),
    ]
    assert len(list_deliveries(admin, webhook)) == 3


def test_a_webhook_gets_only_the_events_that_it_names(admin, buyer, receiver):
    add_webhook(admin, receiver.url("/paid"), ("order.paid",))
    add_webhook(admin, receiver.url("/stock"), ("stock.*",))
    add_webhook(admin, receiver.url("/all"), ("*",))
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    messages = receiver.wait_for(3)
    assert sorted((each.path, each.json["type"]) for each in messages) == [
        ("/all", "order.confirmed"),
        ("/all", "order.paid"),
        ("/paid", "order.paid"),
    ]


def test_an_order_that_was_refused_before_its_confirmation_has_no_event(database, admin, buyer):
    add_webhook(admin, URL)
    assert buyer.order(card="pm_card_chargeDeclined").status_code == 402
    assert run_sql(database, "SELECT count(*) FROM outbox")[0][0] == 0


def test_after_a_rotation_both_secrets_verify_for_a_day(database, admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    path = f"/webhooks/{webhook['id']}"
    rotated = admin.post(f"{path}/secret").json
    assert rotated["secret"] != webhook["secret"]
    until = datetime.fromisoformat(rotated["old_secret_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(hours=24)
    admin.post(f"{path}/ping")
    [message] = receiver.wait_for(1)
    assert message.is_signed_with(webhook["secret"])
    assert message.is_signed_with(rotated["secret"])
    assert len(message.headers["webhook-signature"].split(" ")) == 2
    run_sql(database, "UPDATE webhooks SET old_until = now() - interval '1 second'")
    assert admin.get(path).json["old_secret_until"] is None
    admin.post(f"{path}/ping")
    message = receiver.wait_for(2)[1]
    assert not message.is_signed_with(webhook["secret"])
    assert message.is_signed_with(rotated["secret"])


def test_a_ping_arrives_at_once_even_if_the_endpoint_is_paused(database, admin, receiver):
    webhook = add_webhook(admin, receiver.url(), ("order.paid",))
    run_sql(database, "UPDATE outbox_endpoints SET paused_until = now() + interval '1 hour'")
    sent = admin.post(f"/webhooks/{webhook['id']}/ping")
    assert sent.status_code == 202
    [message] = receiver.wait_for(1)
    assert message.json["type"] == "ping"
    assert message.json["data"] == {"webhook_id": webhook["id"]}
    assert message.id == sent.json["id"]
    assert message.json["timestamp"].startswith(sent.json["created_at"][:19])


def test_an_inactive_webhook_gets_nothing_until_it_is_switched_on(database, admin, buyer, receiver):
    webhook = add_webhook(admin, receiver.url(), ("order.confirmed", "ping"))
    path = f"/webhooks/{webhook['id']}"
    run_sql(
        database,
        "UPDATE outbox_endpoints SET paused_until = now() + interval '1 hour' WHERE channel = 'webhook'",
    )
    buyer.order()
    assert admin.call("PATCH", path, json={"active": False}).json["active"] is False
    buyer.order("second")
    for action in ("ping", f"deliveries/{list_deliveries(admin, webhook)[0]['id']}/redeliver"):
        refused = admin.post(f"{path}/{action}")
        assert (refused.status_code, refused.json["code"]) == (409, "webhook_inactive")
    assert admin.call("POST", f"{path}/redeliver", json={"since": "2026-01-01T00:00:00Z"}).status_code == 409
    shown = admin.get(path).json
    # The event of the time when it was off is not recorded.
    assert (shown["waiting"], receiver.messages) == (1, [])
    run_sql(
        database,
        "UPDATE outbox_endpoints SET failures = 9, failing_since = now() - interval '9 days', error = 'x'"
        " WHERE channel = 'webhook'",
    )
    switched = admin.call("PATCH", path, json={"active": True}).json
    assert (switched["active"], switched["failing_since"], switched["error"]) == (True, None, None)
    assert len(receiver.wait_for(1)) == 1


def test_a_deletion_takes_the_messages_and_leaves_those_of_others(database, admin, buyer):
    gone, kept = add_webhook(admin, URL), add_webhook(admin, URL)
    run_sql(
        database, "UPDATE outbox_endpoints SET is_active = true, paused_until = now() + interval '1 hour'"
    )
    buyer.order()
    assert admin.call("DELETE", f"/webhooks/{gone['id']}").status_code == 204
    endpoints = {each[0] for each in run_sql(database, "SELECT DISTINCT endpoint FROM outbox")}
    assert endpoints == {"mail", kept["id"]}
    names = {each[0] for each in run_sql(database, "SELECT name FROM outbox_endpoints")}
    assert names == {"mail", "task", kept["id"]}


def test_deliveries_are_paged_newest_first_and_filtered_by_state(database, admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    other = add_webhook(admin, receiver.url("/other"))
    made = [admin.post(f"/webhooks/{webhook['id']}/ping").json["id"] for _ in range(3)]
    admin.post(f"/webhooks/{other['id']}/ping")
    wait_for_state(admin, webhook, "sent", 3)
    run_sql(database, "UPDATE outbox SET state = 'dead' WHERE id = :id", id=made[1])
    path = f"/webhooks/{webhook['id']}/deliveries"
    first = admin.get(f"{path}?limit=2").json
    second = admin.get(f"{path}?limit=2&cursor={first['next']}").json
    found = [each["id"] for page in (first, second) for each in page["data"]]
    assert (found, second["next"]) == (made[::-1], None)
    assert [each["id"] for each in list_deliveries(admin, webhook, "?state=dead")] == [made[1]]
    assert list_deliveries(admin, webhook, "?state=waiting") == []
    assert admin.get(f"/webhooks/{webhook['id']}").json["dead"] == 1
    assert admin.get(f"{path}?state=kept").status_code == 422


def test_a_delivery_is_repeated_with_its_id_and_body(admin, receiver):
    webhook = add_webhook(admin, receiver.url())
    made = admin.post(f"/webhooks/{webhook['id']}/ping").json
    wait_for_state(admin, webhook, "sent")
    again = admin.post(f"/webhooks/{webhook['id']}/deliveries/{made['id']}/redeliver")
    assert again.status_code == 202
    first, second = receiver.wait_for(2)
    assert (first.id, first.body) == (second.id, second.body)
    assert second.headers["webhook-attempt"] == "2"
    [delivery] = wait_for(lambda: list_deliveries(admin, webhook, "?state=sent"))
    assert [each["number"] for each in delivery["attempts"]] == [1, 2]


def test_a_delivery_belongs_to_its_webhook(database, admin, paid, receiver):
    mine, other = add_webhook(admin, receiver.url()), add_webhook(admin, receiver.url("/other"))
    made = admin.post(f"/webhooks/{mine['id']}/ping").json
    mail = run_sql(database, "SELECT id FROM outbox WHERE channel = 'mail'")[0].id
    for webhook, delivery in ((other["id"], made["id"]), (mine["id"], mail), (mine["id"], uuid4())):
        answer = admin.post(f"/webhooks/{webhook}/deliveries/{delivery}/redeliver")
        assert (answer.status_code, answer.json["code"]) == (404, "delivery_not_found")


@pytest.mark.parametrize(("state", "repeated"), [(None, [1, 2, 3]), ("dead", [2]), ("sent", [1, 3])])
def test_deliveries_since_a_time_are_repeated_by_state(database, admin, receiver, state, repeated):
    webhook = add_webhook(admin, receiver.url())
    path = f"/webhooks/{webhook['id']}"
    made = [admin.post(f"{path}/ping").json for _ in range(4)]
    wait_for_state(admin, webhook, "sent", 4)
    run_sql(database, "UPDATE outbox SET state = 'dead' WHERE id = :id", id=made[2]["id"])
    body = {"since": made[1]["created_at"], **({"state": state} if state else {})}
    answer = admin.call("POST", f"{path}/redeliver", json=body)
    assert (answer.status_code, answer.json) == (202, {"count": len(repeated)})
    messages = receiver.wait_for(4 + len(repeated))[4:]
    assert [each.id for each in messages] == [made[number]["id"] for number in repeated]


def test_the_audit_trail_records_each_change_without_the_secret(admin, caplog):
    with caplog.at_level(logging.INFO):
        webhook = add_webhook(admin, URL + "?token=hidden")
        path = f"/webhooks/{webhook['id']}"
        admin.call("PATCH", path, json={"active": False})
        rotated = admin.post(f"{path}/secret").json
        admin.call("DELETE", path)
    trail = [vars(record) for record in caplog.records if record.name == "shopfleet.audit"]
    assert [(each["event.name"], each["user.id"], each["audit.target"]) for each in trail] == [
        (f"orders.webhook.{action}", "boss", webhook["id"])
        for action in ("created", "changed", "secret_rotated", "deleted")
    ]
    assert trail[1]["audit.members"] == ["active"]
    written = str([vars(record) for record in caplog.records])
    assert not [each for each in (webhook["secret"], rotated["secret"], "hidden") if each in written]
