"""Requests in any order, with lost responses, leave payments and charge records consistent."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.ids import new_id

STEPS = {"authorize": "authorize", "capture": "capture", "refund": "refund", "cancel": "release"}

step = st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from(["before", "after", None]))


def read_amounts(tables, order_id):
    """Return the payment, the amounts of its ledger entries, and its charge records."""
    (payment,) = tables.read("SELECT * FROM payments WHERE order_id = %s", order_id)
    moved = tables.read(
        "SELECT movement, CASE debit WHEN 'receivable' THEN amount ELSE -amount END AS amount"
        " FROM ledger_entries WHERE payment_id = %s",
        payment["id"],
    )
    charges = tables.read("SELECT * FROM simulated_charges WHERE key = %s", str(payment["id"]))
    return payment, {row["movement"]: row["amount"] for row in moved}, charges


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# A cancel that completes an interrupted refund leaves no check scheduled.
@example(steps=[("authorize", "before"), ("capture", None), ("refund", "before")], declined=False)
@given(steps=st.lists(step, min_size=1, max_size=7), declined=st.booleans())
def test_no_sequence_of_requests_captures_twice_or_keeps_money_after_a_cancel(
    orders, provider, tables, steps, declined
):
    order_id = new_id()
    terms = {"payment_method": "pm_card_chargeDeclined"} if declined else {}
    # Two refund ids, so that the same refund may be requested several times.
    refunds = [new_id(), new_id()]
    canceled = False
    for number, (name, lost) in enumerate(steps):
        provider.hooks.clear()
        if lost:
            for call in STEPS.values():
                provider.lose_response(f"{lost} {call}")
        call = getattr(orders, name)
        if name == "authorize":
            answer = call(order_id, **terms)
        elif name == "refund":
            answer = call(order_id, 700, refunds[number % 2])
        else:
            answer = call(order_id)
        assert answer.status_code in {200, 402, 404, 409, 503}
        # After an acknowledged cancel no authorization or capture succeeds.
        if canceled and name in {"authorize", "capture"}:
            assert answer.json["code"] == "payment_closed"
        canceled = canceled or (name == "cancel" and answer.status_code == 200)
    provider.hooks.clear()
    assert orders.cancel(order_id).json["status"] == "canceled"
    payment, moved, charges = read_amounts(tables, order_id)
    assert sum(moved.values()) == 0
    assert moved.get("capture", 0) == payment["amount_captured"] == payment["amount_refunded"]
    assert payment["amount_refunding"] == 0
    assert payment["look_at"] is None
    succeeded = tables.read(
        "SELECT id, amount FROM refunds WHERE payment_id = %s AND status = 'succeeded'", payment["id"]
    )
    assert {f"refund:{row['id']}": -row["amount"] for row in succeeded} == {
        name: amount for name, amount in moved.items() if name.startswith("refund:")
    }
    assert len(charges) <= 1
    for charge in charges:
        assert charge["released"]
        assert charge["amount_captured"] == charge["amount_refunded"] == payment["amount_captured"]
        assert not declined or charge["amount_captured"] == 0
