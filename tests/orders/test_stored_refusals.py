"""Refusals in the database, which replicas of the previous release also read and write."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.orders.conftest import read_status, run_sql
from tests.waiting import wait_for


@dataclass(frozen=True)
class PreviousRefusal:
    """A refusal of the previous release, made from exactly the stored members and answered with `status`."""

    reason: str
    status: int
    code: str
    detail: str
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_as_previous_release(database):
    return PreviousRefusal(**run_sql(database, "SELECT refusal FROM orders WHERE refusal IS NOT NULL")[0][0])


@pytest.mark.parametrize(
    ("order", "reason", "extra"),
    [
        (
            {"items": [(2, 101)]},
            "out_of_stock",
            {"lines": [{"product_id": 2, "variant_id": 2, "requested": 101}]},
        ),
        ({"items": [(3, 1)]}, "variant_required", {"lines": [{"product_id": 3}]}),
        ({"card": "pm_card_chargeDeclined"}, "payment_declined", {"decline_code": "generic_decline"}),
        (
            {"items": [(1, 101), (2, 100)], "card": "pm_card_authenticationRequired"},
            "too_many_waiting",
            {},
        ),
    ],
)
def test_the_previous_release_reads_a_refused_order_and_gives_the_same_answer(
    buyer, catalog, database, order, reason, extra
):
    catalog.stock[1] = 101
    catalog.add_variant(501, parent=3)
    answer = buyer.order(**order)
    refusal = read_as_previous_release(database)
    assert refusal == PreviousRefusal(
        reason, answer.status_code, answer.json["code"], answer.json["detail"], extra
    )


def test_the_previous_release_reads_a_cancelled_order(buyer, database):
    location = buyer.order().headers["Location"]
    assert buyer.post(f"{location}/cancel").json["status"] == "cancelled"
    refusal = read_as_previous_release(database)
    assert (refusal.reason, refusal.status, refusal.code) == ("cancelled_by_customer", 409, "order_cancelled")


@pytest.mark.parametrize(
    "refusal",
    [
        PreviousRefusal("payment_declined", 402, "card_declined", "No.", {"decline_code": "lost_card"}),
        PreviousRefusal("too_many_waiting", 429, "too_many_waiting", "More than 5."),
        PreviousRefusal("timed_out", 409, "checkout_timed_out", "Too late."),
    ],
)
@pytest.mark.usefixtures("quick_retries")
def test_an_order_that_the_previous_release_refused_is_answered_as_it_would_answer(
    buyer, payments, database, refusal
):
    payments.is_away = {"authorize"}
    location = buyer.order().headers["Location"]
    payments.is_away = {"authorize", "cancel"}
    wait_for(
        lambda: run_sql(
            database,
            "WITH undone AS (UPDATE order_work SET next_step = 'cancel_payment', next_attempt_at = now()"
            " WHERE lease_until IS NULL RETURNING order_id)"
            " UPDATE orders SET refusal = CAST(:refusal AS jsonb) FROM undone WHERE id = order_id"
            " RETURNING id",
            refusal=json.dumps(vars(refusal)),
        )
    )
    payments.is_away = set()
    wait_for(lambda: read_status(buyer, location) == "cancelled")
    answer = buyer.order()
    assert answer.headers["Idempotent-Replayed"] == "true"
    body = answer.json
    assert (answer.status_code, body["status"]) == (refusal.status, refusal.status)
    assert (body["code"], body["detail"]) == (refusal.code, refusal.detail)
    assert {name: body[name] for name in refusal.extra} == refusal.extra
