"""The answer of a called service means one of three things: done, refused permanently, or retry."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest

from orders.clients import CatalogClient, PaymentsClient
from orders.domain import Line, Offer, Payment, Refund
from orders.errors import CheckoutRefused
from shared.batches import OrderOutcome
from shared.errors import ServiceUnreachable
from tests.conftest import send_json

ID = UUID("01900000-0000-7000-8000-000000000001")
PAYMENT = {"id": str(ID), "status": "requires_capture", "amount_refunded": 0}
ORDER = SimpleNamespace(
    id=ID,
    customer="ada",
    amount=2000,
    currency="USD",
    payment_method="pm_card_visa",
    lines=(Line(1, 2),),
    created_at=datetime.now(UTC),
)


class FakeTokens:
    """A service's own token, without auth."""

    def current(self):
        return "token"

    def forget(self, token):
        assert token == "token"


@pytest.fixture
def answer(fake_server):
    """Set the answer of the called service."""

    def set_answer(status, /, **body):
        fake_server.answer = lambda handler, _sent: send_json(handler, json.dumps(body).encode(), status)

    return set_answer


@pytest.fixture
def catalog(fake_server):
    return CatalogClient(fake_server.url, FakeTokens(), retries=0)


@pytest.fixture
def payments(fake_server):
    return PaymentsClient(fake_server.url, FakeTokens(), retries=0)


CALLS = {
    "authorize": lambda payments: payments.authorize(ORDER),
    "read": lambda payments: payments.read(ID),
    "capture": lambda payments: payments.capture_payments([ID]),
    "cancel": lambda payments: payments.cancel(ID),
    "refund": lambda payments: payments.refund(Refund(ID, ID, 500, False, "boss")),
}


def raised_by(call, *arguments):
    """Return the error that a call raises, or None."""
    try:
        call(*arguments)
    except (ServiceUnreachable, CheckoutRefused) as error:
        return error
    return None


def test_an_unexpected_status_of_payments_is_retried(payments, answer):
    wrong = []
    for status in (500, 502, 503, 401, 403, 404, 405):
        answer(status, code="somehow", detail="Something.")
        for name, call in CALLS.items():
            error = raised_by(call, payments)
            if not isinstance(error, ServiceUnreachable):
                wrong.append((name, status, error))
    assert wrong == []


def test_an_answer_that_is_not_json_is_retried(payments, fake_server):
    fake_server.answer = lambda handler, _sent: send_json(handler, b"<html>")
    with pytest.raises(ServiceUnreachable):
        payments.read(ID)


def test_a_permanent_refusal_of_payments_is_not_retried(payments, answer):
    cases = [
        ("authorize", 402, "card_declined", "payment_declined", "card_declined"),
        ("authorize", 422, "payment_method_unsupported", "payment_declined", "payment_method_unsupported"),
        ("authorize", 422, "validation_failed", "payment_declined", "payment_refused"),
        ("authorize", 409, "payment_closed", "payment_closed", "payment_closed"),
        ("authorize", 409, "payment_conflict", "amount_changed", "amount_changed"),
        ("refund", 409, "refund_exceeds_payment", "refund_failed", "refund_exceeds_payment"),
        ("refund", 409, "refund_failed", "refund_failed", "refund_failed"),
    ]
    wrong = []
    for call, status, code, reason, expected in cases:
        answer(status, code=code, detail="No.", decline_code="generic_decline")
        error = raised_by(CALLS[call], payments)
        if not isinstance(error, CheckoutRefused) or (error.reason, error.code) != (reason, expected):
            wrong.append((call, status, code, error))
    assert wrong == []


def test_an_answer_without_outcomes_is_retried(catalog, payments, answer):
    wrong = []
    for body in ({}, {"orders": [{"order_id": str(ID)}]}, {"orders": [{"order_id": "1", "outcome": "done"}]}):
        answer(200, **body)
        for call in (catalog.commit_reservations, payments.capture_payments):
            error = raised_by(call, [ID])
            if not isinstance(error, ServiceUnreachable):
                wrong.append((call, body, error))
    assert wrong == []


def test_a_batch_lists_its_orders_and_gets_an_outcome_for_each(catalog, payments, answer, fake_server):
    outcome = {"order_id": str(ID), "outcome": "refused", "code": "reservation_lapsed"}
    answer(200, orders=[outcome])
    for call in (catalog.commit_reservations, payments.capture_payments):
        assert call([ID]) == {ID: OrderOutcome(**outcome)}
    assert [(method, path, json.loads(sent)) for method, path, _, sent in fake_server.requests] == [
        ("POST", "/internal/reservations/commit", {"orders": [str(ID)]}),
        ("POST", "/internal/payments/capture", {"orders": [str(ID)]}),
    ]


def test_a_cancelled_payment_has_its_refunded_amount(payments, answer):
    answer(200, **{**PAYMENT, "status": "canceled", "amount_refunded": 700})
    assert payments.cancel(ID) == Payment(ID, "canceled", 700)


def test_an_order_without_a_payment_can_be_cancelled(payments, answer):
    answer(200, status="canceled")
    assert payments.cancel(ID) == Payment(None, "canceled", 0)


def test_payments_gets_the_orders_amount_and_the_refunds_id(payments, answer, fake_server):
    answer(200, **PAYMENT)
    payments.authorize(ORDER)
    payments.refund(Refund(ID, ID, 500, False, "boss"))
    (put, path, _, terms), (post, refunds, _, refund) = fake_server.requests
    assert (put, path) == ("PUT", f"/internal/payments/{ID}")
    assert json.loads(terms) == {
        "customer": "ada",
        "amount": 2000,
        "currency": "USD",
        "payment_method": "pm_card_visa",
    }
    assert (post, refunds) == ("POST", f"/internal/payments/{ID}/refunds")
    assert json.loads(refund) == {"refund_id": str(ID), "amount": 500}


def test_an_error_of_the_catalogue_is_retried(catalog, answer):
    calls = {"reserve": ORDER, "commit_reservations": [ID], "release": ID, "read_offers": [1]}
    wrong = []
    for status in (500, 503):
        answer(status)
        for name, argument in calls.items():
            error = raised_by(getattr(catalog, name), argument)
            if not isinstance(error, ServiceUnreachable):
                wrong.append((name, status, error))
    assert wrong == []


def test_an_out_of_stock_refusal_has_its_lines(catalog, answer):
    lines = [{"product_id": 1, "requested": 2, "available": 0}]
    answer(409, code="out_of_stock", detail="Gone.", lines=lines)
    with pytest.raises(CheckoutRefused) as refused:
        catalog.reserve(ORDER)
    assert refused.value.extra == {"lines": lines}


def order_of(*lines):
    return SimpleNamespace(**vars(ORDER) | {"lines": lines})


def test_an_item_that_names_only_its_product_says_so_until_it_was_held(catalog, answer, fake_server):
    answer(409, code="variant_required", detail="Name one.", lines=[{"product_id": 1}])
    lines = (
        Line(1, 2, only_variant=True),
        Line(2, 1, only_variant=False),
        Line(3, 1),
        Line(4, 1, "SKU", "Thing", 1000, only_variant=True),
    )
    with pytest.raises(CheckoutRefused) as refused:
        catalog.reserve(order_of(*lines))
    assert (refused.value.reason, refused.value.code, refused.value.status, refused.value.extra) == (
        "variant_required",
        "variant_required",
        422,
        {"lines": [{"product_id": 1}]},
    )
    assert json.loads(fake_server.requests[0][3])["items"] == [
        {"product_id": 1, "quantity": 2, "only_variant": True},
        {"product_id": 2, "quantity": 1},
        {"product_id": 3, "quantity": 1},
        {"product_id": 4, "quantity": 1},
    ]


RESERVED = {"product_id": 501, "quantity": 2, "sku": "S", "title": "T", "unit_amount": 1200}


def test_a_catalogue_of_the_previous_release_gets_the_items_that_it_knows(catalog, fake_server):
    def refuse_unknown_members(handler, sent):
        items = json.loads(sent)["items"]
        if any(item.keys() - {"product_id", "quantity"} for item in items):
            return send_json(handler, b'{"code": "validation_failed"}', 422)
        return send_json(handler, json.dumps({"items": [RESERVED], "currency": "USD"}).encode())

    fake_server.answer = refuse_unknown_members
    reserved = catalog.reserve(order_of(Line(501, 2, only_variant=True)))
    assert reserved.lines == (Line(501, 2, "S", "T", 1200, parent_id=501),)
    assert len(fake_server.requests) == 2


def test_items_are_sent_again_only_if_the_member_can_be_what_was_refused(catalog, answer, fake_server):
    wrong = []
    for code, only_variant in (("validation_failed", False), ("something_else", True)):
        fake_server.requests.clear()
        answer(422, code=code)
        error = raised_by(catalog.reserve, order_of(Line(1, 2, only_variant=only_variant)))
        if not isinstance(error, ServiceUnreachable) or len(fake_server.requests) != 1:
            wrong.append((code, only_variant, error, len(fake_server.requests)))
    assert wrong == []


def test_the_product_of_a_variant_is_read_or_else_known_or_else_has_the_same_number(catalog, answer):
    cases = [({"parent_id": 1}, None, 1), ({"parent_id": 1}, 501, 1), ({}, 1, 1), ({}, None, 501)]
    wrong = []
    for sent, known, wanted in cases:
        answer(200, items=[RESERVED | sent], currency="USD")
        found = catalog.reserve(order_of(Line(501, 2, parent_id=known))).lines[0].parent_id
        if found != wanted:
            wrong.append((sent, known, found))
    assert wrong == []
    priced = {"product_id": 501, "sku": "S", "title": "T", "unit_amount": 1200, "stock": 3}
    for sent, parent in (({"parent_id": 1, "compare_at_amount": 1500}, 1), ({}, 501)):
        answer(200, data=[priced | sent], currency="USD")
        assert catalog.read_offers([501]) == ({501: Offer(501, "T", 1200, 3, parent)}, "USD")
