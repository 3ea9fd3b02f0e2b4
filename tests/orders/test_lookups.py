"""Orders of guests: found by a mailed link, and added to the account that has verified their address."""

import re
from collections.abc import Callable

import pytest

from shared.errors import ServiceUnreachable
from tests.orders.conftest import Buyer, run_sql, sweep
from tests.waiting import wait_for

ADDRESS = "ada@example.com"
TOKEN = re.compile(r"token=([\w-]{43})")


@pytest.fixture
def guest(app, auth) -> Buyer:
    """A guest, whose orders have an email address."""
    return Buyer(app, auth, "guest", role="guest")


@pytest.fixture
def ada(app, auth, accounts) -> Buyer:
    """A customer with a verified address."""
    accounts.emails["ada"] = ADDRESS
    accounts.accounts.add("ada")
    return Buyer(app, auth, "ada")


@pytest.fixture
def placed(guest):
    """An order of a guest."""
    answer = guest.order(email="Ada@Example.com")
    assert answer.status_code == 201
    return answer.json


@pytest.fixture
def ask(app, database) -> Callable[..., None]:
    """Ask for a link, and wait until the task has run."""

    def ask(number: int, email: str = ADDRESS) -> None:
        answer = app.test_client().post("/orders/lookup", json={"number": number, "email": email})
        assert (answer.status_code, answer.json) == (202, {"email": email})
        wait_for(lambda: not run_sql(database, "SELECT FROM outbox WHERE channel = 'task'"))

    return ask


def read_lookups(database):
    return run_sql(database, "SELECT id, recipient FROM outbox WHERE kind = 'order_lookup' ORDER BY id")


def read_token(admin, database):
    mail = read_lookups(database)[-1]
    return TOKEN.search(admin.get(f"/orders/mails/{mail.id}").json["text"])[1]


def open_link(app, token):
    return app.test_client().post("/orders/lookup/open", json={"token": token})


def test_a_link_to_an_order_goes_to_its_stored_address(ask, placed, database):
    ask(placed["number"], "ADA@example.com")
    assert [mail.recipient for mail in read_lookups(database)] == ["Ada@Example.com"]


def test_a_link_shows_its_order_without_a_session_as_often_as_needed(app, ask, placed, admin, database):
    ask(placed["number"])
    token = read_token(admin, database)
    for _ in range(2):
        shown = open_link(app, token)
        assert (shown.status_code, shown.json["id"]) == (200, placed["id"])
    # It is no token for anything else.
    denied = app.test_client().get(f"/orders/{placed['id']}", headers={"Authorization": f"Bearer {token}"})
    assert denied.status_code == 401


@pytest.mark.parametrize("wrong", [{"email": "eve@example.com"}, {"number": 1}])
def test_a_wrong_number_or_address_gets_the_same_answer_and_no_mail(ask, placed, database, wrong):
    ask(**{"number": placed["number"], "email": ADDRESS, **wrong})
    assert read_lookups(database) == []


def test_a_link_expires(app, ask, placed, admin, database):
    ask(placed["number"])
    token = read_token(admin, database)
    run_sql(database, "UPDATE order_links SET expires_at = now() - interval '1 s'")
    refused = open_link(app, token)
    assert (refused.status_code, refused.json["code"]) == (422, "link_invalid")
    sweep(database)
    assert run_sql(database, "SELECT * FROM order_links") == []


def test_an_unknown_link_is_refused(app):
    assert open_link(app, "x" * 43).json["code"] == "link_invalid"


def test_an_address_gets_at_most_three_links_in_ten_minutes(ask, placed, database):
    for _ in range(5):
        ask(placed["number"])
    assert len(read_lookups(database)) == 3


def test_a_link_that_is_sent_again_is_a_new_one(app, ask, placed, admin, database):
    ask(placed["number"])
    first = read_token(admin, database)
    wait_for(lambda: run_sql(database, "SELECT FROM outbox WHERE kind = 'order_lookup' AND state = 'kept'"))
    assert admin.post(f"/orders/mails/{read_lookups(database)[0].id}/resend").status_code == 202
    second = read_token(admin, database)
    assert first != second
    assert open_link(app, second).status_code == 200


def test_orders_of_guests_are_offered_once_the_address_is_verified(app, auth, accounts, placed, ada):
    accounts.emails.clear()
    assert ada.get("/orders/claimable").json["data"] == []
    assert ada.post("/orders/claim").json == {"claimed": 0}
    accounts.emails["ada"] = ADDRESS
    assert [order["id"] for order in ada.get("/orders/claimable").json["data"]] == [placed["id"]]


def test_an_account_takes_the_orders_of_guests_with_its_address(ada, guest, payments, placed):
    assert ada.post("/orders/claim").json == {"claimed": 1}
    assert ada.get(f"/orders/{placed['id']}").status_code == 200
    assert guest.get(f"/orders/{placed['id']}").status_code == 404
    assert "ada" in payments.customers.values()
    assert ada.get("/orders/claimable").json["data"] == []
    assert ada.post("/orders/claim").json == {"claimed": 0}


def test_an_order_of_another_account_is_never_taken(app, auth, accounts, ada):
    accounts.accounts.add("bob")
    bob = Buyer(app, auth, "bob")
    gift = bob.order(email=ADDRESS).json
    assert ada.get("/orders/claimable").json["data"] == []
    assert ada.post("/orders/claim").json == {"claimed": 0}
    assert bob.get(f"/orders/{gift['id']}").status_code == 200


def test_an_order_of_another_address_is_not_offered(guest, ada):
    guest.order(email="grace@example.com")
    assert ada.get("/orders/claimable").json["data"] == []


def test_a_claim_can_be_repeated_after_payments_service_was_unavailable(ada, payments, placed):
    payments.is_away.add("reassign")
    assert ada.post("/orders/claim").status_code == ServiceUnreachable.status
    payments.is_away.clear()
    assert ada.post("/orders/claim").json == {"claimed": 1}
