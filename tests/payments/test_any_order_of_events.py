"""Whatever is asked, in any order, with answers lost: the provider's book and ours agree."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from payments.errors import ProviderUnavailable
from shared.ids import new_id

STEPS = {"authorize": "authorize", "capture": "capture", "refund": "refund", "cancel": "release"}

step = st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from(["before", "after", None]))


def refuse():
    raise ProviderUnavailable


def read_books(books, order_id):
    """Return the payment, the sums that its ledger entries moved, and the charge of the same key."""
    (payment,) = books.read("SELECT * FROM payments WHERE order_id = %s", order_id)
    moved = books.read(
        "SELECT movement, CASE debit WHEN 'receivable' THEN amount ELSE -amount END AS amount"
        " FROM ledger_entries WHERE payment_id = %s",
        payment["id"],
    )
    charges = books.read("SELECT * FROM simulated_charges WHERE key = %s", str(payment["id"]))
    return payment, {row["movement"]: row["amount"] for row in moved}, charges


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# A cancel that finishes a lost refund leaves nothing to look at.
@example(steps=[("authorize", "before"), ("capture", None), ("refund", "before")], declined=False)
@given(steps=st.lists(step, min_size=1, max_size=7), declined=st.booleans())
def test_nothing_that_is_asked_takes_money_twice_or_keeps_it_after_a_cancel(
    orders, provider, books, steps, declined
):
    order_id = new_id()
    terms = {"payment_method": "pm_card_chargeDeclined"} if declined else {}
    # Two refunds, of which the same one may be asked for several times.
    refunds = [new_id(), new_id()]
    canceled = False
    for number, (name, lost) in enumerate(steps):
        provider.steps.clear()
        if lost:
            for call in STEPS.values():
                provider.interrupt(f"{lost} {call}", refuse)
        call = getattr(orders, name)
        if name == "authorize":
            answer = call(order_id, **terms)
        elif name == "refund":
            answer = call(order_id, 700, refunds[number % 2])
        else:
            answer = call(order_id)
        assert answer.status_code in {200, 402, 404, 409, 503}
        # Once a cancel was acknowledged, nothing succeeds any more but what had succeeded before.
        if canceled and name in {"authorize", "capture"}:
            assert answer.json["code"] == "payment_closed"
        canceled = canceled or (name == "cancel" and answer.status_code == 200)
    provider.steps.clear()
    assert orders.cancel(order_id).json["status"] == "canceled"
    payment, moved, charges = read_books(books, order_id)
    assert sum(moved.values()) == 0
    assert moved.get("capture", 0) == payment["amount_captured"] == payment["amount_refunded"]
    assert payment["amount_refunding"] == 0
    assert payment["look_at"] is None
    succeeded = books.read(
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
