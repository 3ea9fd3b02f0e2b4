"""A payment's steps, as plain Python: what is wrong is refused loudly."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from payments.domain import (
    CANCELED,
    PROCESSING,
    REQUIRES_ACTION,
    REQUIRES_CAPTURE,
    REQUIRES_PAYMENT_METHOD,
    SUCCEEDED,
    Charge,
    Payment,
    find_movements,
)
from payments.errors import ProviderMismatch, UnexpectedPaymentState
from shared.ids import new_id

AUTHORIZED = Charge(REQUIRES_CAPTURE)
ASKED = Charge(REQUIRES_ACTION, next_action={"type": "confirm"})
DECLINED = Charge(REQUIRES_PAYMENT_METHOD, decline_code="generic_decline")
CAPTURED = Charge(SUCCEEDED, amount_captured=700)
VOIDED = Charge(CANCELED)
REFUNDED = Charge(CANCELED, amount_captured=700, amount_refunded=700)

STEPS = {
    "ask": lambda payment: payment.require_action({"type": "confirm"}),
    "authorize": lambda payment: payment.authorize(),
    "decline": lambda payment: payment.decline("generic_decline"),
    "capture": lambda payment: payment.capture(700),
    "cancel": lambda payment: payment.cancel(payment.amount_captured),
}
ALLOWED = {
    (PROCESSING, "ask"): REQUIRES_ACTION,
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


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "status",
    [PROCESSING, REQUIRES_ACTION, REQUIRES_PAYMENT_METHOD, REQUIRES_CAPTURE, SUCCEEDED, CANCELED],
)
def test_each_step_is_allowed_where_it_belongs_and_refused_elsewhere(status, step):
    payment = make_payment(status)
    if (status, step) in ALLOWED:
        assert STEPS[step](payment).status is ALLOWED[status, step]
    else:
        with pytest.raises(UnexpectedPaymentState):
            STEPS[step](payment)


def test_a_capture_of_another_sum_is_refused():
    with pytest.raises(ProviderMismatch):
        make_payment(REQUIRES_CAPTURE).capture(699)


def test_a_refund_of_another_sum_is_refused():
    with pytest.raises(ProviderMismatch):
        make_payment(SUCCEEDED).cancel(701)


@pytest.mark.parametrize(
    ("charge", "status"),
    [
        (AUTHORIZED, REQUIRES_CAPTURE),
        (ASKED, REQUIRES_ACTION),
        (DECLINED, REQUIRES_PAYMENT_METHOD),
        (CAPTURED, SUCCEEDED),
        (VOIDED, CANCELED),
        (REFUNDED, CANCELED),
    ],
)
def test_a_payment_follows_its_charge_however_far_that_has_gone(charge, status):
    payment = make_payment().follow(charge)
    assert payment.status is status
    assert (payment.amount_captured, payment.amount_refunded) == (
        charge.amount_captured,
        charge.amount_refunded,
    )


@pytest.mark.parametrize("late", [AUTHORIZED, ASKED, DECLINED, CAPTURED, VOIDED])
def test_an_answer_that_comes_late_changes_nothing(late):
    canceled = make_payment().follow(REFUNDED)
    assert canceled.follow(late) == canceled


def test_what_moves_is_booked_on_both_sides_and_all_of_it_back_comes_to_zero():
    before = make_payment(REQUIRES_CAPTURE)
    movements = find_movements(before, before.follow(REFUNDED))
    assert [movement.name for movement in movements] == ["capture", "cancel"]
    balance = Counter()
    for movement in movements:
        assert movement.amount > 0
        balance.update({movement.debit: movement.amount, movement.credit: -movement.amount})
    assert set(balance.values()) == {0}


def test_a_payment_that_stays_as_it_is_moves_nothing():
    payment = make_payment(SUCCEEDED)
    assert find_movements(payment, payment.follow(CAPTURED)) == []
