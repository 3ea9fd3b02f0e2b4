"""Shipping and delivering, by admins only."""

from tests.orders.conftest import read_kinds, read_status


def test_a_paid_order_is_shipped_and_delivered(buyer, admin, paid):
    assert admin.post(f"{paid}/ship").json["status"] == "shipped"
    assert admin.post(f"{paid}/deliver").json["status"] == "delivered"
    assert read_kinds(buyer, paid)[-2:] == ["shipped", "delivered"]
    assert buyer.get(f"{paid}/events").json["data"][-1]["actor"] == "boss"


def test_a_repeated_move_changes_nothing(admin, paid):
    for move, status in (("ship", "shipped"), ("deliver", "delivered")):
        first, again = admin.post(f"{paid}/{move}"), admin.post(f"{paid}/{move}")
        assert first.json["status"] == status
        assert (again.status_code, again.json) == (200, first.json), move


def test_only_a_paid_order_is_shipped(buyer, admin, payments):
    payments.is_away = {"capture"}
    location = buyer.order().headers["Location"]
    answer = admin.post(f"{location}/ship")
    assert (answer.status_code, answer.json["code"]) == (409, "order_not_shippable")


def test_only_a_shipped_order_is_delivered(admin, paid):
    answer = admin.post(f"{paid}/deliver")
    assert (answer.status_code, answer.json["code"]) == (409, "order_not_deliverable")


def test_a_delivered_order_is_not_shipped_again(admin, paid):
    admin.post(f"{paid}/ship")
    admin.post(f"{paid}/deliver")
    assert admin.post(f"{paid}/ship").json["code"] == "order_not_shippable"


def test_a_customer_may_not_ship_deliver_or_refund(buyer, paid):
    for move in ("ship", "deliver", "refund"):
        answer = buyer.call("POST", f"{paid}/{move}", key="k", json={})
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden"), move
        assert read_status(buyer, paid) == "paid", move


def test_an_unknown_order_is_404(admin):
    for move in ("ship", "deliver", "cancel"):
        answer = admin.post(f"/orders/00000000-0000-7000-8000-000000000000/{move}")
        assert (answer.status_code, answer.json["code"]) == (404, "order_not_found"), move


def test_unknown_members_are_refused_and_nothing_happens(buyer, admin, paid):
    calls = [(admin, "ship"), (admin, "deliver"), (buyer, "cancel")]
    for caller, call in calls:
        answer = caller.call("POST", f"{paid}/{call}", json={"tracking_number": "1Z", "carrier": "UPS"})
        assert (answer.status_code, answer.json["code"]) == (422, "validation_failed"), call
        assert [entry["field"] for entry in answer.json["errors"]] == ["tracking_number", "carrier"]
        assert caller.call("POST", f"{paid}/{call}", json=["x"]).status_code == 422
    assert read_status(buyer, paid) == "paid"
    assert admin.call("POST", f"{paid}/ship", json={}).status_code == 200
