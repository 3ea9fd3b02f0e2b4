"""Access to payments and to the routes that move money."""

import json
import logging

import pytest

from shared.ids import new_id
from tests.payments.conftest import REQUEST


@pytest.fixture
def get(orders, auth):
    client = orders.app.test_client()

    def get(path, sub="ada", role="customer"):
        return client.get(path, headers=auth.bearer(sub=sub, role=role))

    return get


def test_the_owner_a_clerk_and_an_admin_see_a_payment(orders, get, order_id):
    payment = orders.authorize(order_id).json
    for sub, role in [("ada", "customer"), ("ada", "guest"), ("clara", "clerk"), ("root", "admin")]:
        assert get(f"/payments/{payment['id']}", sub, role).json == payment


def test_a_different_customers_payment_is_not_found(orders, get, order_id):
    payment = orders.authorize(order_id).json
    for role in ("customer", "editor"):
        answer = get(f"/payments/{payment['id']}", "bob", role)
        assert answer.status_code == 404
        assert answer.json["code"] == "payment_not_found"
        assert get("/payments", "bob", role).json == {"data": [], "next": None}


def test_a_customer_lists_own_payments_and_a_clerk_or_an_admin_lists_all_newest_first(orders, get):
    ids = [orders.authorize(new_id(), customer=name).json["id"] for name in ("ada", "bob", "ada")]
    assert [payment["id"] for payment in get("/payments").json["data"]] == [ids[2], ids[0]]
    for role in ("clerk", "admin"):
        assert [payment["id"] for payment in get("/payments", "root", role).json["data"]] == ids[::-1]


def test_the_pages_contain_every_payment_once(orders, get):
    ids = [orders.authorize(new_id()).json["id"] for _ in range(5)]
    found, path = [], "/payments?limit=2"
    while path:
        page = get(path).json
        found += [payment["id"] for payment in page["data"]]
        path = page["next"] and f"/payments?limit=2&cursor={page['next']}"
    assert found == ids[::-1]


@pytest.mark.parametrize("path", ["/payments", "/payments/ledger"])
@pytest.mark.parametrize("query", ["limit=0", "limit=101", "cursor=nonsense", "cursor=LTE", "colour=red"])
def test_an_invalid_query_parameter_is_named(get, path, query):
    answer = get(f"{path}?{query}", "root", "admin")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.partition("=")[0]


def test_an_order_closed_without_a_payment_is_not_listed(orders, get, tables, order_id):
    orders.cancel(order_id)
    (row,) = tables.read("SELECT id FROM payments")
    assert get("/payments", "root", "admin").json["data"] == []
    assert get(f"/payments/{row['id']}", "root", "admin").status_code == 404


@pytest.mark.parametrize(
    "path", ["/payments", "/payments/ledger", "/payments/0199c0de-0000-7000-8000-0123456789ab"]
)
def test_reading_requires_a_token(orders, path):
    assert orders.app.test_client().get(path).status_code == 401


@pytest.mark.parametrize("role", ["guest", "customer", "clerk", "editor"])
def test_only_an_admin_reads_the_ledger(get, role):
    assert get("/payments/ledger", role=role).status_code == 403


INTERNAL = [("GET", ""), ("PUT", ""), ("POST", "/capture"), ("POST", "/cancel"), ("POST", "/refunds")]


@pytest.fixture
def call_all(orders, order_id):
    """Call every internal route with these headers; return the statuses."""

    def call_all(headers):
        client = orders.app.test_client()
        return {
            f"{method} {step}": client.open(
                f"/internal/payments/{order_id}{step}", method=method, json=REQUEST, headers=headers
            ).status_code
            for method, step in INTERNAL
        }

    return call_all


def test_only_orders_service_may_move_money(auth, tables, call_all):
    services = ["catalog-service", "logs-service", "payments-service"]
    answers = {name: call_all(auth.service_bearer(name)) for name in services}
    assert [each for each in answers.items() if set(each[1].values()) != {403}] == []
    assert tables.read("SELECT FROM payments") == []


def test_a_user_token_may_not_move_money(auth, tables, call_all):
    roles = ["customer", "admin", "service"]
    answers = {role: call_all(auth.bearer(role=role, client_id="orders-service")) for role in roles}
    assert [each for each in answers.items() if set(each[1].values()) != {401}] == []
    assert tables.read("SELECT FROM payments") == []


def test_a_forwarded_token_of_a_different_customer_is_refused(orders, auth, tables, order_id):
    path = f"/internal/payments/{order_id}"
    headers = {**orders.headers, **auth.bearer(sub="bob")}
    answer = orders.app.test_client().put(path, json=REQUEST, headers=headers)
    assert answer.status_code == 403
    assert tables.read("SELECT FROM payments") == []


def test_a_forwarded_token_of_the_customer_is_accepted(orders, auth, order_id):
    path = f"/internal/payments/{order_id}"
    headers = {**orders.headers, **auth.bearer(sub="ada", role="guest")}
    assert orders.app.test_client().put(path, json=REQUEST, headers=headers).status_code == 200


def test_one_log_record_describes_the_request_and_names_its_order(orders, order_id, caplog, monkeypatch):
    (handler,) = [
        handler for handler in logging.getLogger().handlers if hasattr(handler.formatter, "service")
    ]
    lines = []
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(json.loads(handler.format(record))))
    orders.authorize(order_id)
    assert [line["message"] for line in lines] == ["PUT /internal/payments/<uuid:order_id> 200"]
    assert lines[0]["attributes"]["order.id"] == str(order_id)
    assert lines[0]["attributes"]["payment.status"] == "requires_capture"
