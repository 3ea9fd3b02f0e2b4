"""Email addresses of accounts: links that verify them, and passwords that are reset by mail."""

import re
import statistics
import time
from collections.abc import Callable, Iterator

import pytest

from auth.use_cases.sweep import sweep
from shared.outbox_tasks import CHANNEL as TASK
from tests.auth.conftest import ADMIN, EVE, PRODUCTION, bearer
from tests.waiting import wait_for

ADDRESS = "eve@example.com"
NEW_PASSWORD = "a longer one than before"
TOKEN = re.compile(r"token=([\w-]{43})")


@pytest.fixture
def app(app) -> Iterator[object]:
    """auth-service, which sends its messages."""
    app.background.stopping.clear()
    yield app
    app.background.stop()


@pytest.fixture
def deliver(app, run_sql) -> Callable[[], None]:
    """Send all messages that wait."""

    def send() -> None:
        def is_done() -> bool:
            app.extensions["courier"].send_due_messages()
            return not run_sql("SELECT FROM outbox WHERE state = 'waiting'")

        wait_for(is_done)

    return send


@pytest.fixture
def read_mails(deliver, run_sql) -> Callable[..., list[tuple[str, str]]]:
    """Send what waits; return the kinds and recipients of all mails, oldest first."""

    def read() -> list[tuple[str, str]]:
        deliver()
        return [
            tuple(row)
            for row in run_sql("SELECT kind, recipient FROM outbox WHERE channel = 'mail' ORDER BY id")
        ]

    return read


@pytest.fixture
def read_token(deliver, client, admin) -> Callable[..., str]:
    """Send what waits; return the token in the link of the newest mail."""

    def read() -> str:
        deliver()
        mail = client.get("/auth/mails", headers=admin).json["data"][0]
        return TOKEN.search(client.get(f"/auth/mails/{mail['id']}", headers=admin).json["text"])[1]

    return read


def register(client, email=ADDRESS, **others):
    # A browser of its own: the cookie of an earlier registration would count as logged in.
    browser = client.application.test_client()
    answer = browser.post("/auth/register", json={**EVE, "email": email, **others})
    assert answer.status_code == 201, answer.text
    return bearer(answer.json["access_token"])


def forget(client, email=ADDRESS):
    answer = client.post("/auth/password/forgot", json={"email": email})
    assert (answer.status_code, answer.json) == (202, {"email": email})


def reset(client, token, password=NEW_PASSWORD):
    return client.post("/auth/password/reset", json={"token": token, "password": password})


def verify(client, token):
    return client.post("/auth/email/verify", json={"token": token})


@pytest.fixture
def eve(client, read_token):
    """The Authorization header of a customer with a verified address."""
    header = register(client)
    assert verify(client, read_token()).json == {"email": ADDRESS}
    return header


def test_registering_with_an_address_mails_a_link_that_verifies_it(client, read_mails, read_token):
    header = register(client)
    assert client.get("/auth/me", headers=header).json["email_verified"] is False
    assert read_mails() == [("email_verify", ADDRESS)]
    assert verify(client, read_token()).json == {"email": ADDRESS}
    me = client.get("/auth/me", headers=header).json
    assert (me["email"], me["email_verified"]) == (ADDRESS, True)


def test_a_link_works_once(client, read_token):
    register(client)
    token = read_token()
    assert verify(client, token).status_code == 200
    again = verify(client, token)
    assert (again.status_code, again.json["code"]) == (422, "link_invalid")


def test_a_link_expires(client, read_token, run_sql):
    register(client)
    token = read_token()
    run_sql("UPDATE link_tokens SET expires_at = now()")
    assert verify(client, token).json["code"] == "link_invalid"


def test_only_the_hash_of_a_token_is_stored_once_the_mail_was_sent(make_replica, run_sql):
    # Outside development the mailbox keeps no token.
    app = make_replica(**PRODUCTION)
    register(app.test_client())
    wait_for(lambda: run_sql("SELECT FROM outbox WHERE channel = 'mail' AND state = 'kept'"))
    assert run_sql("SELECT secret FROM outbox WHERE channel = 'mail'") == [(None,)]
    assert len(run_sql("SELECT hash FROM link_tokens")[0][0]) == 32


def test_a_link_of_one_purpose_is_not_for_the_other(client, eve, read_token):
    forget(client)
    token = read_token()
    assert verify(client, token).json["code"] == "link_invalid"
    assert reset(client, token).status_code == 204


def test_a_forgotten_password_is_reset_by_a_link_and_all_sessions_end(client, eve, read_mails, read_token):
    forget(client)
    assert reset(client, read_token()).status_code == 204
    assert client.get("/auth/me", headers=eve).status_code == 401
    assert client.post("/auth", json=EVE).status_code == 401
    assert client.post("/auth", json={**EVE, "password": NEW_PASSWORD}).status_code == 200
    assert read_mails()[-1] == ("password_changed", ADDRESS)


def test_a_reset_verifies_the_address(client, read_token):
    register(client)
    forget(client)
    assert reset(client, read_token()).status_code == 204
    token = client.post("/auth", json={**EVE, "password": NEW_PASSWORD}).json["access_token"]
    assert client.get("/auth/me", headers=bearer(token)).json["email_verified"] is True


def test_a_changed_password_voids_the_links_from_before(client, eve, read_token):
    forget(client)
    token = read_token()
    change = {"current_password": EVE["password"], "new_password": NEW_PASSWORD}
    assert client.post("/auth/password", json=change, headers=eve).status_code == 200
    assert reset(client, token, "yet another long one").json["code"] == "link_invalid"


def test_a_second_reset_voids_the_first_link(client, eve, read_token):
    forget(client)
    first = read_token()
    forget(client)
    assert reset(client, read_token()).status_code == 204
    assert reset(client, first, "yet another long one").json["code"] == "link_invalid"


def test_a_weak_password_does_not_use_the_link_up(client, eve, read_token):
    forget(client)
    token = read_token()
    assert reset(client, token, "eve eve eve").json["code"] == "weak_password"
    assert reset(client, token).status_code == 204


def test_a_disabled_account_gets_no_link_and_its_links_are_void(client, eve, read_mails, read_token, run_sql):
    forget(client)
    token = read_token()
    run_sql("UPDATE users SET disabled = true WHERE username = 'eve'")
    assert reset(client, token).json["code"] == "link_invalid"
    before = read_mails()
    forget(client)
    assert read_mails() == before


def test_an_unknown_address_gets_the_same_answer_and_no_mail(client, read_mails):
    forget(client, "unknown@example.com")
    assert read_mails() == []


def test_known_and_unknown_addresses_take_the_same_time(client, eve, deliver, run_sql):
    deliver()
    took = {ADDRESS: [], "unknown@example.com": []}
    for _ in range(40):
        for address, seconds in took.items():
            run_sql("DELETE FROM login_attempts")
            began = time.thread_time()
            forget(client, address)
            seconds.append(time.thread_time() - began)
    known, unknown = (statistics.median(seconds) for seconds in took.values())
    assert 0.8 < known / unknown < 1.25


def test_without_a_verified_address_three_accounts_that_name_it_get_a_link(client, read_mails, run_sql):
    for name in ("eve", "eva", "evi", "evo"):
        register(client, username=name)
    before = len(read_mails())
    run_sql("UPDATE outbox SET id = uuidv7(interval '-11 minutes')")
    forget(client, ADDRESS.upper())
    assert read_mails()[before:] == [("password_reset", ADDRESS)] * 3
    named = run_sql("SELECT data->>'username' FROM outbox WHERE kind = 'password_reset' ORDER BY id")
    assert [tuple(row) for row in named] == [("eve",), ("eva",), ("evi",)]


def test_a_person_gets_at_most_three_mails_in_ten_minutes(client, eve, read_mails, run_sql):
    for _ in range(9):
        forget(client)
    assert len(read_mails()) == 3
    run_sql("UPDATE outbox SET id = uuidv7(interval '-11 minutes')")
    forget(client)
    assert len(read_mails()) == 4


def test_a_caller_who_requests_many_mails_must_wait(client):
    answers = [
        client.post("/auth/password/forgot", json={"email": f"person{number}@example.com"})
        for number in range(15)
    ]
    assert answers[9].status_code == 202
    assert (answers[-1].status_code, answers[-1].json["code"]) == (429, "too_many_attempts")
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_a_reset_goes_to_the_stored_address_and_not_to_the_typed_one(client, read_mails, read_token, run_sql):
    register(client, "mike@example.com")
    assert verify(client, read_token()).status_code == 200
    # The Kelvin sign is equal to a k without regard to case, but the two mailboxes differ.
    forget(client, "mi\u212ae@example.com")
    assert {recipient for _kind, recipient in read_mails()} == {"mike@example.com"}


def test_registering_with_a_verified_address_tells_its_owner_and_issues_no_link(
    client, eve, read_mails, run_sql
):
    before = len(read_mails())
    tokens = run_sql("SELECT count(*) FROM link_tokens")
    header = register(client, ADDRESS.upper(), username="mallory")
    assert client.get("/auth/me", headers=header).json["email_verified"] is False
    assert read_mails()[before:] == [("address_in_use", ADDRESS)]
    assert run_sql("SELECT count(*) FROM link_tokens") == tokens


def test_of_two_accounts_with_a_link_the_first_one_gets_the_address(client, deliver, read_token):
    register(client)
    first = read_token()
    other = register(client, username="eva")
    second = read_token()
    assert first != second
    assert verify(client, second).status_code == 200
    assert verify(client, first).json["code"] == "link_invalid"
    assert client.get("/auth/me", headers=other).json["email_verified"] is True


def test_a_new_address_counts_once_it_is_verified_and_the_old_one_gets_a_notice(
    client, eve, read_mails, read_token
):
    assert client.post("/auth/email", json={"email": "eve@new.example"}, headers=eve).status_code == 202
    assert client.get("/auth/me", headers=eve).json["email"] == ADDRESS
    assert verify(client, read_token()).json == {"email": "eve@new.example"}
    assert client.get("/auth/me", headers=eve).json["email"] == "eve@new.example"
    assert read_mails()[-2:] == [("email_verify", "eve@new.example"), ("address_changed", ADDRESS)]


def test_a_new_address_voids_the_links_that_went_to_the_old_one(client, eve, read_token):
    forget(client)
    old = read_token()
    assert client.post("/auth/email", json={"email": "eve@new.example"}, headers=eve).status_code == 202
    assert verify(client, read_token()).status_code == 200
    assert reset(client, old).json["code"] == "link_invalid"
    assert client.get("/auth/me", headers=eve).json["email"] == "eve@new.example"


def test_an_address_that_was_not_verified_is_replaced_at_once(client):
    header = register(client)
    assert client.post("/auth/email", json={"email": "eve@new.example"}, headers=header).status_code == 202
    assert client.get("/auth/me", headers=header).json["email"] == "eve@new.example"


def test_a_verified_address_serves_as_the_name_at_log_in(client, read_token, deliver):
    register(client)
    deliver()
    by_address = {"username": ADDRESS.upper(), "password": EVE["password"]}
    assert client.post("/auth", json=by_address).status_code == 401
    verify(client, read_token())
    assert client.post("/auth", json=by_address).status_code == 200


def test_guesses_by_name_and_by_address_count_together(client, eve):
    statuses = [
        client.post(
            "/auth",
            json={"username": name, "password": "wrong"},
            headers={"X-Forwarded-For": "203.0.113.9"},
        ).status_code
        for name in ("eve", ADDRESS) * 5
    ]
    assert statuses[:5] == [401] * 5
    assert 429 in statuses[5:8]


@pytest.mark.parametrize("name", ["eve@example.com", "eve\uff20example"])
def test_a_new_user_name_is_no_address(client, name):
    answer = client.post("/auth/register", json={**EVE, "username": name})
    assert answer.status_code == 422
    assert "@" in answer.json["errors"][0]["detail"]


@pytest.mark.parametrize(
    "address",
    [
        "eve",
        "eve@",
        "@example.com",
        "eve@example.com\r\nBcc: all@example.com",
        "<eve@example.com>",
        "a,b@c.de",
        "eve eve@example.com",
        'eve"@example.com',
        "eve@exa mple.com",
        f"{'e' * 250}@example.com",
        "",
    ],
)
def test_what_is_no_address_is_refused(client, eve, address):
    for path in ("/auth/email", "/auth/password/forgot"):
        answer = client.post(path, json={"email": address}, headers=eve)
        assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")


def test_links_are_built_from_the_public_url_alone(client, deliver, read_token, admin):
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    client.post("/auth/register", json={**EVE, "email": ADDRESS}, headers=headers)
    deliver()
    mail = client.get("/auth/mails", headers=admin).json["data"][0]
    shown = client.get(f"/auth/mails/{mail['id']}", headers=admin).json
    html = client.get(shown["preview"], headers=admin).text
    assert "http://localhost:8080/#/verify-email?token=" in shown["text"]
    assert "evil.example" not in shown["text"] + html


def test_a_mail_that_is_sent_again_has_a_new_link_unless_it_is_obsolete(client, admin, read_token):
    register(client)
    first = read_token()
    mail = client.get("/auth/mails", headers=admin).json["data"][0]
    assert client.post(f"/auth/mails/{mail['id']}/resend", headers=admin).status_code == 202
    second = read_token()
    assert first != second
    assert verify(client, second).status_code == 200
    refused = client.post(f"/auth/mails/{mail['id']}/resend", headers=admin)
    assert (refused.status_code, refused.json["code"]) == (409, "mail_obsolete")


def test_outside_development_an_admin_does_not_see_the_link(make_replica, run_sql):
    app = make_replica(**PRODUCTION)
    client = app.test_client()
    run_sql("UPDATE outbox_endpoints SET paused_until = now() + interval '1 hour' WHERE name = 'mail'")
    header = bearer(client.post("/auth", json=ADMIN).json["access_token"])
    register(app.test_client())
    mails = wait_for(lambda: client.get("/auth/mails", headers=header).json["data"])
    secret = run_sql("SELECT secret FROM outbox WHERE channel = 'mail'")[0][0]
    assert secret
    shown = client.get(f"/auth/mails/{mails[0]['id']}", headers=header).json
    html = client.get(shown["preview"], headers=header).text
    assert secret not in shown["text"] + html
    assert "href" not in html


def test_a_task_that_was_run_is_not_run_again(client, app, run_sql, read_mails):
    register(client)
    before = run_sql("SELECT * FROM outbox WHERE channel = :task", task=TASK)
    assert len(before) == 1
    assert len(read_mails()) == 1
    assert run_sql("SELECT * FROM outbox WHERE channel = :task", task=TASK) == []


def test_old_links_are_deleted(client, app, database, deliver, run_sql):
    register(client)
    deliver()
    run_sql("UPDATE link_tokens SET expires_at = now() - interval '1 s'")
    sweep(database)
    assert run_sql("SELECT * FROM link_tokens") == []
