"""The mails of orders: one for each event that its customer waits for, as of the event."""

import re
from uuid import uuid4

import psutil
import pytest
from sqlalchemy import text

from orders.errors import CheckoutRefused
from tests.orders.conftest import ADDRESS, Buyer, read_status, run_sql
from tests.waiting import wait_for

READ_MAILS = """
    SELECT id, kind, recipient, state FROM outbox WHERE channel = 'mail' AND subject = :order ORDER BY id
"""


def read_mails(database, location):
    return run_sql(database, READ_MAILS, order=location.rpartition("/")[2])


def read_kinds(database, location):
    return [mail.kind for mail in read_mails(database, location)]


def read_text(admin, mail):
    """Return a mail's text once it was made."""
    return admin.get(f"/orders/mails/{mail.id}").json["text"]


def read_sentences(admin, mail):
    """Return a mail's text without its line breaks."""
    return " ".join(read_text(admin, mail).split())


def test_a_confirmed_order_has_one_mail_to_its_address(database, paid):
    assert [(mail.kind, mail.recipient) for mail in read_mails(database, paid)] == [
        ("order_confirmed", "ada@example.com")
    ]
    wait_for(lambda: read_mails(database, paid)[0].state == "kept")


def test_recording_the_mail_takes_a_twentieth_of_a_checkouts_processor_time_at_most(app, database, paid):
    app.background.stop()
    add = (
        "INSERT INTO order_events (order_id, kind, from_status, to_status, actor)"
        " VALUES (:order, 'confirmed', 'pending', 'confirmed', 'x'),"
        " (:order, 'paid', 'confirmed', 'paid', 'x')"
    )
    spent = {}
    with database.engine.connect() as connection, connection.begin() as transaction:
        server = psutil.Process(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        for trigger in ("DISABLE", "ENABLE"):
            connection.execute(text(f"ALTER TABLE order_events {trigger} TRIGGER order_events_tell"))
            before = server.cpu_times()
            for _ in range(400):
                connection.execute(text(add), {"order": paid.rpartition("/")[2]})
            after = server.cpu_times()
            spent[trigger] = (after.user + after.system - before.user - before.system) / 400
        transaction.rollback()
    # `make bench ONLY=checkout` measures more than 20 ms for the cheapest checkout.
    assert spent["ENABLE"] - spent["DISABLE"] < 0.020 / 20


def test_an_order_without_an_address_has_no_mail(database, buyer):
    location = buyer.order(email=None).headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "paid")
    assert read_mails(database, location) == []


def test_a_declined_order_has_no_mail(database, buyer):
    refused = buyer.order(card="pm_card_chargeDeclined")
    assert refused.status_code == 402
    assert run_sql(database, "SELECT count(*) FROM outbox")[0][0] == 0


def test_each_event_that_the_customer_waits_for_has_a_mail_in_their_order(database, admin, paid):
    assert admin.post(f"{paid}/ship").status_code == 200
    assert admin.post(f"{paid}/ship").status_code == 200
    assert admin.post(f"{paid}/deliver").status_code == 200
    for key, amount in (("first", 500), ("rest", None)):
        assert admin.call("POST", f"{paid}/refund", key=key, json={"amount": amount}).status_code == 200
    assert read_kinds(database, paid) == [
        "order_confirmed",
        "order_shipped",
        "order_refunded",
        "order_refunded",
    ]
    texts = [read_sentences(admin, mail) for mail in read_mails(database, paid)]
    # The second refund has not changed the mail of the first.
    assert "We have sent 5.00 USD of your order 1001 back" in texts[2]
    assert "Refunded so far: 5.00 USD" in texts[2]
    assert "Refunded so far: 20.00 USD" in texts[3]


def test_a_failed_refund_has_no_mail(database, payments, admin, paid):
    payments.refuse["refund"] = CheckoutRefused("refund_failed", "charge_disputed", "The charge is disputed.")
    refused = admin.call("POST", f"{paid}/refund", key="one", json={})
    assert refused.status_code >= 400
    assert read_kinds(database, paid) == ["order_confirmed"]


@pytest.mark.parametrize(
    ("who", "said"), [("buyer", "You cancelled it."), ("admin", "The shop cancelled it.")]
)
def test_a_cancelled_order_has_a_mail_that_says_who_cancelled_it(request, database, admin, paid, who, said):
    # Of this payment, 5.00 was refunded before.
    assert admin.call("POST", f"{paid}/refund", key="part", json={"amount": 500}).status_code == 200
    assert request.getfixturevalue(who).post(f"{paid}/cancel").json["status"] == "cancelled"
    assert read_kinds(database, paid) == ["order_confirmed", "order_refunded", "order_cancelled"]
    text = read_sentences(admin, read_mails(database, paid)[2])
    assert said in text
    assert "We have sent 20.00 USD back to your payment method." in text


def test_an_order_that_sold_out_before_its_payment_has_a_mail_that_says_so(database, admin, buyer, catalog):
    catalog.lapse_next_commit = True

    def sell_the_rest(_name):
        if catalog.calls == ["reserve", "commit", "reserve"]:
            catalog.stock[1] = 0

    catalog.before = sell_the_rest
    location = buyer.order().headers["Location"]
    wait_for(lambda: read_status(buyer, location) == "cancelled")
    text = read_sentences(admin, read_mails(database, location)[-1])
    assert "the items sold out before we could complete it" in text
    assert "You were not charged." in text
    assert "We have sent" not in text


def test_a_mail_has_what_was_ordered_and_where_it_goes(database, admin, buyer):
    address = {**ADDRESS, "name": "Grace Hopper", "line1": "5 Kensington Road", "line2": "Flat 2"}
    location = buyer.order(items=((1, 2), (2, 1)), shipping_address=address, note="Ring twice.").headers[
        "Location"
    ]
    text = read_text(admin, read_mails(database, location)[0])
    number = buyer.get(location).json["number"]
    assert f"order {number}" in text
    assert "- 2 x Thing\n  20.00 USD (10.00 USD each)\n- 1 x Thing\n  10.00 USD\n\nTotal: 30.00 USD" in text
    # The order of the lines is that of the country.
    assert "Grace Hopper\n5 Kensington Road\nFlat 2\nSPRINGFIELD, IL 62701\nUNITED STATES" in text
    assert "Ring twice." in text
    assert f"http://localhost:8080/#{location}\n" in text


def test_names_from_customers_are_text_in_a_mail(database, admin, buyer):
    hostile = '<img src=x onerror=alert(1)> "{{ 7 * 7 }}" \u05e9\u05dc\u05d5\u05dd \U0001f36a'
    location = buyer.order(shipping_address={**ADDRESS, "name": hostile}, note=hostile).headers["Location"]
    mail = read_mails(database, location)[0]
    shown = admin.get(f"/orders/mails/{mail.id}").json
    html = admin.get(shown["preview"]).text
    assert hostile in shown["text"]
    assert "<img" not in html
    assert "49" not in html
    # Text from right to left does not turn the sentence around it.
    assert re.search(r'<bdi dir="auto">[^<]*\u05e9\u05dc\u05d5\u05dd', html)


def test_titles_from_right_to_left_leave_the_direction_of_their_lines(database, admin, paid):
    assert admin.post(f"{paid}/ship").status_code == 200
    title = "\u05e9\u05dc\u05d5\u05dd"
    run_sql(database, f"UPDATE outbox SET data = replace(data::text, '\"Thing\"', '\"{title}\"')::jsonb")
    texts = [read_text(admin, mail) for mail in read_mails(database, paid)]
    assert [f" x \u2068{title}\u2069" in text for text in texts] == [True, True]


def test_the_mailbox_lists_mails_and_resends_them(database, admin, buyer, paid):
    other = buyer.order("second").headers["Location"]
    wait_for(lambda: read_mails(database, other)[0].state == "kept")
    page = admin.get("/orders/mails?limit=1").json
    assert [mail["about"] for mail in page["data"]] == [other.rpartition("/")[2]]
    following = admin.get(f"/orders/mails?limit=1&cursor={page['next']}").json
    assert [mail["about"] for mail in following["data"]] == [paid.rpartition("/")[2]]
    assert following["next"] is None
    about = admin.get(f"/orders/mails?about={paid.rpartition('/')[2]}").json["data"]
    again = admin.post(f"/orders/mails/{about[0]['id']}/resend")
    assert again.status_code == 202
    # A new mail, because mail programs hide a second one with the same Message-ID.
    assert again.json["id"] != about[0]["id"]
    assert again.json["resend_of"] == about[0]["id"]
    assert again.json["subject"] == about[0]["subject"]
    wait_for(lambda: read_mails(database, paid)[1].state == "kept")


def test_the_mails_about_an_order_are_listed_by_pages_for_those_who_see_all_orders(admin, buyer, paid):
    other = buyer.order("second").headers["Location"]
    assert admin.post(f"{paid}/ship").status_code == 200
    found = admin.get(f"{paid}/mails").json
    assert [mail["kind"] for mail in found["data"]] == ["order_shipped", "order_confirmed"]
    assert {mail["about"] for mail in found["data"]} == {paid.rpartition("/")[2]}
    first = admin.get(f"{paid}/mails?limit=1").json
    second = admin.get(f"{paid}/mails?limit=1&cursor={first['next']}").json
    # Their states change meanwhile.
    assert [mail["id"] for mail in (*first["data"], *second["data"])] == [
        mail["id"] for mail in found["data"]
    ]
    assert second["next"] is None
    assert [mail["kind"] for mail in admin.get(f"{other}/mails").json["data"]] == ["order_confirmed"]
    # Its customer does not read them here, and an unknown order has none.
    assert buyer.get(f"{paid}/mails").status_code == 403
    unknown = admin.get(f"/orders/{uuid4()}/mails")
    assert (unknown.status_code, unknown.json["code"]) == (404, "order_not_found")


def test_a_waiting_mail_cannot_be_sent_again(database, admin, paid):
    wait_for(lambda: read_mails(database, paid)[0].state == "kept")
    run_sql(
        database,
        "UPDATE outbox SET state = 'waiting', next_attempt_at = now() + interval '1 hour'"
        " WHERE subject = :order",
        order=paid.rpartition("/")[2],
    )
    refused = admin.post(f"/orders/mails/{read_mails(database, paid)[0].id}/resend")
    assert (refused.status_code, refused.json["code"]) == (409, "mail_waiting")


def test_a_preview_may_run_no_script_and_only_the_shop_may_frame_it(database, admin, paid):
    preview = admin.get(f"/orders/mails/{read_mails(database, paid)[0].id}/preview")
    policy = preview.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "; sandbox" in policy
    assert "allow-scripts" not in policy


def test_a_mail_of_another_channel_is_no_mail(database, admin, paid):
    mail = read_mails(database, paid)[0]
    run_sql(database, "UPDATE outbox SET channel = 'webhook' WHERE id = :id", id=mail.id)
    for call in (admin.get, lambda path: admin.post(f"{path}/resend")):
        assert call(f"/orders/mails/{mail.id}").status_code == 404


def test_two_orders_of_one_customer_have_mails_to_their_own_addresses(app, auth, database):
    buyer = Buyer(app, auth, "ada")
    first = buyer.order("first").headers["Location"]
    # The customer's address has changed since the first order.
    second = buyer.order("second", email="ada@new.example").headers["Location"]
    wait_for(lambda: read_mails(database, second)[0].state == "kept")
    assert [read_mails(database, each)[0].recipient for each in (first, second)] == [
        "ada@example.com",
        "ada@new.example",
    ]
