"""The transitions of a payment; invalid transitions raise."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from payments.domain.ledger import find_movements
from payments.domain.payments import (
    CANCELED,
    PROCESSING,
    REQUIRES_ACTION,
    REQUIRES_CAPTURE,
    REQUIRES_PAYMENT_METHOD,
    SUCCEEDED,
    Charge,
    Payment,
)
from payments.errors import ProviderMismatch, UnexpectedPaymentState
from shared.ids import new_id

AUTHORIZED = Charge(REQUIRES_CAPTURE)
AWAITING_CUSTOMER = Charge(REQUIRES_ACTION, next_action={"type": "confirm"})
DECLINED = Charge(REQUIRES_PAYMENT_METHOD, decline_code="generic_decline")
CAPTURED = Charge(SUCCEEDED, amount_captured=700)
VOIDED = Charge(CANCELED)
REFUNDED = Charge(CANCELED, amount_captured=700, amount_refunded=700)

TRANSITIONS = {
    "await_customer": lambda payment: payment.await_customer({"type": "confirm"}),
    "authorize": lambda payment: payment.authorize(),
    "decline": lambda payment: payment.decline("generic_decline"),
    "capture": lambda payment: payment.capture(700),
    "cancel": lambda payment: payment.cancel(payment.amount_captured),
}
ALLOWED = {
    (PROCESSING, "await_customer"): REQUIRES_ACTION,
    (PROCESSING, "authorize"): REQUIRES_CAPTURE,
    (PROCESSING, "decline"): REQUIRES_PAYMENT_METHOD,
    (PROCESSING, "cancel"): CANCELED,
    (REQUIRES_ACTION, "authorize"): REQUIRES_CAPTURE,
    (REQUIRES_ACTION, "decline"): REQUIRES_PAYMENT_METHOD,
    (REQUIRES_ACTION, "cancel"): CANCELED,
    (REQUIRES_PAYMENT_METHOD, "cancel"): CANCELED,
    (REQUIRES_CAPTURE, "capture"): SUCCEEDED,
    (REQUIRES_CAPTURE, "cancel"): CANCELED,
    (SUCCEEDED, "cancel"): CANCELED,
}


def make_payment(status=PROCESSING):
    return Payment(
        id=new_id(),
        order_id=new_id(),
        status=status,
        customer="ada",
        amount=700,
        currency="USD",
        provider="simulated",
        payment_method="pm_card_visa",
        decline_code=None,
        amount_captured=700 if status is SUCCEEDED else 0,
        amount_refunded=0,
        created_at=datetime.now(UTC),
        updated_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("transition", TRANSITIONS)
@pytest.mark.parametrize(
    "status",
    [PROCESSING, REQUIRES_ACTION, REQUIRES_PAYMENT_METHOD, REQUIRES_CAPTURE, SUCCEEDED, CANCELED],
)
def test_each_transition_is_allowed_only_from_its_statuses(status, transition):
    payment = make_payment(status)
    if (status, transition) in ALLOWED:
        assert TRANSITIONS[transition](payment).status is ALLOWED[status, transition]
    else:
        with pytest.raises(UnexpectedPaymentState):
            TRANSITIONS[transition](payment)


def test_a_capture_of_a_different_amount_is_refused():
    with pytest.raises(ProviderMismatch):
        make_payment(REQUIRES_CAPTURE).capture(699)


def test_a_cancel_that_refunded_a_different_amount_is_refused():
    with pytest.raises(ProviderMismatch):
        make_payment(SUCCEEDED).cancel(701)


@pytest.mark.parametrize(
    ("charge", "status"),
    [
        (AUTHORIZED, REQUIRES_CAPTURE),
        (AWAITING_CUSTOMER, REQUIRES_ACTION),
        (DECLINED, REQUIRES_PAYMENT_METHOD),
        (CAPTURED, SUCCEEDED),
        (VOIDED, CANCELED),
        (REFUNDED, CANCELED),
    ],
)
def test_a_payment_catches_up_with_its_charge(charge, status):
    payment = make_payment().follow(charge)
    assert payment.status is status
    assert (payment.amount_captured, payment.amount_refunded) == (
        charge.amount_captured,
        charge.amount_refunded,
    )


@pytest.mark.parametrize("late", [AUTHORIZED, AWAITING_CUSTOMER, DECLINED, CAPTURED, VOIDED])
def test_an_outdated_charge_changes_nothing(late):
    canceled = make_payment().follow(REFUNDED)
    assert canceled.follow(late) == canceled


def test_the_movements_of_a_full_refund_sum_to_zero_in_each_account():
    before = make_payment(REQUIRES_CAPTURE)
    movements = find_movements(before, before.follow(REFUNDED))
    assert [movement.name for movement in movements] == ["capture", "cancel"]
    balance = Counter()
    for movement in movements:
        assert movement.amount > 0
        balance.update({movement.debit: movement.amount, movement.credit: -movement.amount})
    assert set(balance.values()) == {0}


def test_an_unchanged_payment_has_no_movements():
    payment = make_payment(SUCCEEDED)
    assert find_movements(payment, payment.follow(CAPTURED)) == []
