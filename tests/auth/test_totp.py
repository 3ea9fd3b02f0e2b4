"""Two-factor authentication: turning it on and off, log-ins with codes, and recovery codes."""

import threading
from base64 import b32decode
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest
import segno

from auth.app import create_app
from auth.commands import users as command
from auth.domain.throttling import PER_CODE
from auth.domain.totp import enrol
from auth.errors import TotpOff, UserNotFound
from auth.passwords import Passwords
from auth.repository.totp import find_secret, use_step
from auth.use_cases.sweep import sweep
from tests.auth.conftest import ADMIN, EVE, bearer, claims_of

HOME, AWAY = "198.51.100.7", "203.0.113.9"
STEP = 30  # Seconds.
NEWER = "a newer and longer one"


class Clock:
    """A clock that stands still, in the middle of a time step."""

    def __init__(self):
        self.now = 60_000_000 * STEP + STEP / 2

    def time(self):
        """Return Unix time."""
        return self.now

    def advance(self, steps=1):
        """Let time steps pass."""
        self.now += steps * STEP


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("auth.use_cases.codes.time", clock)
    return clock


@dataclass
class Person:
    """A user with a browser, and with an authenticator app that shows the codes of `secret`."""

    client: object
    clock: Clock
    tokens: dict
    username: str = EVE["username"]
    password: str = EVE["password"]
    secret: str = ""
    recovery_codes: list = field(default_factory=list)

    @property
    def headers(self):
        return bearer(self.tokens["access_token"])

    @property
    def user_id(self):
        return claims_of(self.tokens["access_token"])["sub"]

    def read_code(self, steps=0):
        """Return the code that the app shows, or that of a later or earlier step."""
        return pyotp.TOTP(self.secret).at(self.clock.now + steps * STEP)

    def guess(self):
        """Return a wrong code."""
        right = {self.read_code(steps) for steps in range(-3, 4)}
        return next(code for code in map("{:06}".format, range(10)) if code not in right)

    def begin(self, password=None):
        body = {"current_password": self.password if password is None else password}
        return self.client.post("/auth/totp", json=body, headers=self.headers)

    def confirm(self, code):
        return self.client.post("/auth/totp/confirm", json={"code": code}, headers=self.headers)

    def turn_on(self):
        """Turn two-factor authentication on; the next code is of the next step."""
        answer = self.begin()
        assert answer.status_code == 200, answer.text
        self.secret = answer.json["secret"]
        answer = self.confirm(self.read_code())
        assert answer.status_code == 200, answer.text
        self.recovery_codes = answer.json["recovery_codes"]
        self.clock.advance()
        return self

    def turn_off(self, code, password=None):
        body = {"current_password": self.password if password is None else password, "code": code}
        return self.client.delete("/auth/totp", json=body, headers=self.headers)

    def log_in(self, otp=None, password=None, address=HOME):
        body = {"username": self.username, "password": password or self.password}
        body |= {} if otp is None else {"otp": otp}
        return self.client.post("/auth", json=body, headers={"X-Forwarded-For": address})

    def refresh(self):
        answer = self.client.post("/auth/refresh", json={"refresh_token": self.tokens["refresh_token"]})
        if answer.status_code == 200:
            self.tokens = answer.json
        return answer

    def show(self):
        return self.client.get("/auth/me", headers=self.headers).json


def open_account(app, clock, person=EVE):
    """Register a person, or log the admin in."""
    client = app.test_client(use_cookies=False)
    path = "/auth" if person is ADMIN else "/auth/register"
    answer = client.post(path, json=person, headers={"X-Forwarded-For": HOME})
    assert answer.status_code in {200, 201}, answer.text
    return Person(client, clock, answer.json, **person)


@pytest.fixture
def eve(app, clock):
    """A customer without two-factor authentication."""
    return open_account(app, clock)


@pytest.fixture
def events(caplog):
    """List the events of the audit trail with some name."""

    def find(name):
        records = [vars(each) for each in caplog.records if each.name == "shopfleet.audit"]
        return [each for each in records if each["event.name"] == name]

    return find


@pytest.fixture
def let_pass(run_sql):
    """Let time pass for the counters of tries."""

    def let(seconds):
        run_sql(
            "UPDATE login_attempts SET last_at = last_at - :s * interval '1 s',"
            " free_at = free_at - :s * interval '1 s', forgiven_at = forgiven_at - :s * interval '1 s'",
            s=seconds,
        )

    return let


def run_at_once(count, work):
    """Run `work` with each number, all at the same time; return the results."""
    ready, results = threading.Barrier(count), [None] * count

    def run(number):
        ready.wait()
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def answer_of(response):
    """Return the status and the code of an error."""
    return response.status_code, (response.json or {}).get("code")


OTP_REQUIRED, OTP_INVALID = (401, "otp_required"), (401, "otp_invalid")
THROTTLED = (429, "too_many_attempts")


def keep_waiting(run_sql) -> None:
    """Prolong the waits that have begun, because on a busy machine a second is over before the next call."""
    run_sql(
        "UPDATE login_attempts SET free_at = now() + interval '1 hour'"
        " WHERE free_at > last_at + interval '0.5 s'"
    )


def test_the_app_gets_the_secret_as_text_as_an_address_and_as_a_qr_code(eve):
    answer = eve.begin()
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json.keys() == {"secret", "uri", "qr"}
    assert len(b32decode(answer.json["secret"])) == 20
    uri = urlsplit(answer.json["uri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/localhost:eve")
    assert parse_qs(uri.query) == {"secret": [answer.json["secret"]], "issuer": ["localhost"]}
    matrix = segno.make(answer.json["uri"], micro=False).matrix
    assert answer.json["qr"] == ["".join(map(str, row)) for row in matrix]


def test_the_longest_user_name_fits_into_a_qr_code():
    enrolment = enrol("\U0001f427" * 150, "shop.example")
    assert len(enrolment.qr) == len(enrolment.qr[0]) <= 177
    assert enrolment.secret not in repr(enrolment)


def test_it_begins_only_with_the_password(eve, events):
    refused = eve.begin("not the password")
    assert answer_of(refused) == (422, "wrong_password")
    assert [entry["field"] for entry in refused.json["errors"]] == ["current_password"]
    assert answer_of(eve.confirm("000000")) == (409, "totp_not_begun")
    for _ in range(12):
        refused = eve.begin("not the password")
    assert answer_of(refused) == THROTTLED
    assert {each["audit.reason"] for each in events("auth.login.failed")} == {
        "wrong current password",
        "too many attempts",
    }


def test_a_secret_that_is_not_confirmed_changes_no_log_in(eve):
    eve.secret = eve.begin().json["secret"]
    assert answer_of(eve.confirm(eve.guess())) == (422, "wrong_code")
    assert eve.log_in().status_code == 200
    assert eve.log_in(eve.guess()).status_code == 200
    assert eve.show()["has_totp"] is False


def test_beginning_again_replaces_a_secret_that_is_not_confirmed(eve):
    eve.secret = eve.begin().json["secret"]
    old_code = eve.read_code()
    eve.secret = eve.begin().json["secret"]
    assert answer_of(eve.confirm(old_code)) == (422, "wrong_code")
    assert eve.confirm(eve.read_code()).status_code == 200


def test_a_code_of_a_replaced_secret_confirms_no_other(eve, database):
    """The user may begin again in another browser between the check of the code and its use."""
    eve.begin()
    with database.transaction() as connection:
        secret = find_secret(connection, eve.user_id)
        assert not use_step(connection, eve.user_id, "A" * 32, 1)
        assert use_step(connection, eve.user_id, secret, 1)


def test_it_cannot_be_begun_or_confirmed_again_while_it_is_on(eve):
    eve.turn_on()
    assert answer_of(eve.begin()) == (409, "totp_on")
    assert answer_of(eve.begin("not the password")) == (409, "totp_on")
    assert answer_of(eve.confirm(eve.read_code())) == (409, "totp_on")
    assert eve.log_in(eve.read_code()).status_code == 200


def test_a_log_in_then_needs_the_password_and_a_code(eve):
    eve.turn_on()
    refused = eve.log_in()
    assert answer_of(refused) == OTP_REQUIRED
    assert "access_token" not in refused.json
    assert "Set-Cookie" not in refused.headers
    assert answer_of(eve.log_in(eve.guess())) == OTP_INVALID
    answer = eve.log_in(eve.read_code())
    assert answer.status_code == 200
    assert answer.json.keys() == {
        *("message", "access_token", "token_type"),
        *("expires_in", "refresh_token"),
    }


def test_spaces_in_a_code_do_not_matter_and_a_blank_code_is_none(eve):
    eve.turn_on()
    assert answer_of(eve.log_in(" ")) == OTP_REQUIRED
    assert answer_of(eve.log_in("")) == OTP_REQUIRED
    code = eve.read_code()
    assert eve.log_in(f" {code[:3]} {code[3:]} ").status_code == 200


def test_a_malformed_code_is_refused_as_input(eve):
    bodies = {"a number": 123456, "too long": "1" * 65, "a list": ["123456"], "a line break": "123\n456"}
    pair = {"username": eve.username, "password": eve.password}
    for path, method, body, name in (
        ("/auth", "POST", pair, "otp"),
        ("/auth/totp/confirm", "POST", {}, "code"),
        ("/auth/totp", "DELETE", {"current_password": eve.password}, "code"),
    ):
        for what, code in bodies.items():
            answer = eve.client.open(path, method=method, json={**body, name: code}, headers=eve.headers)
            assert answer_of(answer) == (422, "validation_failed"), (path, what)
            assert answer.json["errors"][0]["field"].startswith(name)


def test_a_wrong_password_gets_the_same_answer_with_and_without_two_factor_authentication(eve):
    def refuse(otp):
        answer = eve.log_in(otp, password="not the password")
        headers = {name for name, _ in answer.headers}
        return answer.status_code, answer.json | {"request_id": "x"}, headers

    expected = refuse(None)
    assert expected[:2] == (401, expected[1] | {"code": "wrong_credentials"})
    eve.turn_on()
    for otp in (None, eve.guess(), eve.read_code(), eve.recovery_codes[0]):
        assert refuse(otp) == expected
    # The refused log-ins have used up neither code.
    assert eve.log_in(eve.read_code()).status_code == 200
    assert eve.show()["recovery_codes_left"] == 10


def test_a_disabled_user_learns_nothing_about_codes(eve, run_sql):
    eve.turn_on()
    run_sql("UPDATE users SET disabled = true")
    assert answer_of(eve.log_in()) == (401, "wrong_credentials")
    assert answer_of(eve.log_in(eve.read_code())) == (401, "wrong_credentials")


def test_a_code_is_good_for_one_log_in(eve, clock):
    eve.turn_on()
    code = eve.read_code()
    assert eve.log_in(code).status_code == 200
    assert answer_of(eve.log_in(code)) == OTP_INVALID
    clock.advance()
    assert answer_of(eve.log_in(code)) == OTP_INVALID
    assert eve.log_in(eve.read_code()).status_code == 200


def test_the_code_that_turned_it_on_is_used_up(eve):
    eve.secret = eve.begin().json["secret"]
    code = eve.read_code()
    assert eve.confirm(code).status_code == 200
    assert answer_of(eve.log_in(code)) == OTP_INVALID
    assert answer_of(eve.turn_off(code)) == (422, "wrong_code")


def test_codes_before_the_one_that_was_used_are_used_up_too(eve):
    eve.turn_on()
    assert eve.log_in(eve.read_code(1)).status_code == 200
    assert answer_of(eve.log_in(eve.read_code())) == OTP_INVALID


def test_of_concurrent_log_ins_with_one_code_one_succeeds(eve, make_replica):
    eve.turn_on()
    replicas = [eve.client.application, make_replica()]
    body = {"username": eve.username, "password": eve.password, "otp": eve.read_code()}
    answers = run_at_once(
        5, lambda number: replicas[number % 2].test_client(use_cookies=False).post("/auth", json=body)
    )
    assert sorted(answer_of(each) for each in answers) == [(200, None)] + [OTP_INVALID] * 4


def test_a_code_of_the_step_before_or_after_is_accepted_and_no_other(eve, clock, let_pass):
    eve.turn_on()
    accepted = {}
    for steps in (-3, -2, -1, 0, 1, 2, 3):
        clock.advance(10)
        let_pass(7 * 24 * 3600)
        accepted[steps] = eve.log_in(eve.read_code(steps)).status_code == 200
    assert accepted == {steps: abs(steps) <= 1 for steps in accepted}


def test_five_wrong_codes_are_free_and_then_each_wait_is_twice_the_last(eve, let_pass):
    eve.turn_on()
    assert [answer_of(eve.log_in(eve.guess())) for _ in range(5)] == [OTP_INVALID] * 5
    for wait in (1, 2, 4, 8, 16):
        answer = eve.log_in(eve.read_code())
        assert answer_of(answer) == THROTTLED
        assert int(answer.headers["Retry-After"]) == pytest.approx(wait, rel=0.2)
        let_pass(wait)
        assert answer_of(eve.log_in(eve.guess())) == OTP_INVALID


def test_guesses_are_counted_together_for_all_addresses_and_forgotten_slowly(eve, let_pass):
    eve.turn_on()
    tries, passed = 0, 0.0
    while passed < 30 * 24 * 3600:
        answer = eve.log_in(eve.guess(), address=f"203.0.113.{tries % 250}")
        tries += answer_of(answer) == OTP_INVALID
        wait = int(answer.headers.get("Retry-After", 0))
        let_pass(wait)
        passed += wait
    # An attacker who knows the password: 21 tries on the first day, then one a day.
    assert 45 < tries < 55


def test_a_right_password_earns_no_more_guesses(eve, let_pass, events, run_sql):
    eve.turn_on()
    for _ in range(5):
        assert answer_of(eve.log_in(eve.guess())) == OTP_INVALID
    # These do not reset the counter of codes: a log-in without a code, a password change, other addresses.
    assert answer_of(eve.log_in(address=AWAY)) == OTP_REQUIRED
    body = {"current_password": eve.password, "new_password": NEWER}
    eve.tokens = eve.client.post("/auth/password", json=body, headers=eve.headers).json
    eve.password = NEWER
    keep_waiting(run_sql)
    assert answer_of(eve.log_in(eve.guess())) == THROTTLED
    assert answer_of(eve.log_in(eve.guess(), address=AWAY)) == THROTTLED
    assert answer_of(eve.turn_off(eve.guess())) == THROTTLED
    reasons = [each["audit.reason"] for each in events("auth.login.failed")]
    assert reasons == ["wrong code"] * 5 + ["too many codes"] * 3
    # The owner's success takes back its own try only.
    let_pass(3600)
    assert eve.log_in(eve.read_code()).status_code == 200
    assert answer_of(eve.log_in(eve.guess())) == OTP_INVALID
    keep_waiting(run_sql)
    assert answer_of(eve.log_in(eve.guess())) == THROTTLED


def test_a_log_in_whose_code_is_refused_unread_counts_no_try_of_the_password(eve, run_sql):
    eve.turn_on()
    for _ in range(5):
        eve.log_in(eve.guess())
    keep_waiting(run_sql)
    before = run_sql("SELECT key, round(level) FROM login_attempts ORDER BY key")
    for _ in range(20):
        assert answer_of(eve.log_in(eve.guess())) == THROTTLED
    assert run_sql("SELECT key, round(level) FROM login_attempts ORDER BY key") == before


def test_a_missing_code_counts_for_the_account_and_not_for_the_address(eve, run_sql):
    eve.turn_on()
    run_sql("DELETE FROM login_attempts")
    for _ in range(5):
        assert answer_of(eve.log_in(address=AWAY)) == OTP_REQUIRED
    keep_waiting(run_sql)
    assert answer_of(eve.log_in(address=AWAY)) == THROTTLED
    levels = sorted(round(level) for (level,) in run_sql("SELECT level FROM login_attempts"))
    assert levels == [0, 5]
    assert eve.log_in(eve.read_code(), address=HOME).status_code == 200


def test_the_counter_of_codes_outlives_the_sweep(eve, database, let_pass, run_sql):
    eve.turn_on()
    for _ in range(5):
        eve.log_in(eve.guess())
    let_pass(5 * PER_CODE.forgiven_after.total_seconds() - 3600)
    sweep(database)
    assert run_sql("SELECT count(*) FROM login_attempts") == [(1,)]
    let_pass(2 * 3600)
    sweep(database)
    assert run_sql("SELECT count(*) FROM login_attempts") == [(0,)]


def test_guesses_at_the_confirmation_are_throttled_too(eve, run_sql):
    eve.secret = eve.begin().json["secret"]
    assert [answer_of(eve.confirm(eve.guess())) for _ in range(5)] == [(422, "wrong_code")] * 5
    keep_waiting(run_sql)
    assert answer_of(eve.confirm(eve.read_code())) == THROTTLED


def test_a_confirmed_secret_begins_with_all_its_tries(eve):
    eve.secret = eve.begin().json["secret"]
    for _ in range(4):
        assert answer_of(eve.confirm(eve.guess())) == (422, "wrong_code")
    assert eve.confirm(eve.read_code()).status_code == 200
    assert [answer_of(eve.log_in(eve.guess())) for _ in range(5)] == [OTP_INVALID] * 5


def test_turning_it_on_ends_all_other_sessions(eve, events):
    other = eve.log_in().json
    eve.turn_on()
    assert eve.client.get("/auth/me", headers=bearer(other["access_token"])).status_code == 401
    again = eve.client.post("/auth/refresh", json={"refresh_token": other["refresh_token"]})
    assert again.status_code == 401
    assert eve.refresh().status_code == 200
    assert eve.show()["has_totp"] is True
    [record] = events("auth.totp.turned_on")
    assert (record["user.id"], record["audit.target"]) == (eve.user_id, eve.user_id)
    assert record["audit.sessions_ended"] == 1


def test_a_log_in_while_it_is_turned_on_starts_no_session(settings, make_replica, run_sql):
    """It is turned on between the check of the password and the start of the session."""

    class Interrupted(Passwords):
        """A hasher that turns two-factor authentication on during a check."""

        def check(self, password_hash, password, *, place=""):
            checked = super().check(password_hash, password, place=place)
            run_sql("UPDATE users SET totp_confirmed_at = now()")
            return checked

    make_replica()
    with closing(create_app(settings, Interrupted(memory_kib=8, passes=1))) as app:
        assert answer_of(app.test_client().post("/auth", json=ADMIN)) == (401, "wrong_credentials")
    assert run_sql("SELECT count(*) FROM sessions") == [(0,)]


def test_ten_recovery_codes_are_shown_once_and_stored_as_hashes(eve, run_sql):
    eve.turn_on()
    assert len(set(eve.recovery_codes)) == 10
    # 16 characters of 5 bits each.
    assert {len(code.replace("-", "")) for code in eve.recovery_codes} == {16}
    assert {name: eve.show()[name] for name in ("has_totp", "recovery_codes_left")} == {
        "has_totp": True,
        "recovery_codes_left": 10,
    }
    stored = repr(run_sql("SELECT * FROM recovery_codes"))
    assert len(run_sql("SELECT * FROM recovery_codes")) == 10
    for code in eve.recovery_codes:
        assert code not in stored
        assert code.replace("-", "") not in stored


def test_each_recovery_code_is_good_once_in_place_of_a_code(eve, events):
    eve.turn_on()
    for left, code in zip(range(9, -1, -1), eve.recovery_codes, strict=True):
        assert eve.log_in(code).status_code == 200
        assert answer_of(eve.log_in(code)) == OTP_INVALID
        assert eve.show()["recovery_codes_left"] == left
        assert events("auth.totp.recovery_code_used")[-1]["audit.left"] == left
    assert len(events("auth.totp.recovery_code_used")) == 10
    assert eve.log_in(eve.read_code()).status_code == 200


def test_a_recovery_code_is_read_as_people_type_it(eve):
    eve.turn_on()
    first, second, third = eve.recovery_codes[:3]
    assert eve.log_in(first.upper()).status_code == 200
    assert eve.log_in(second.replace("-", " ")).status_code == 200
    assert eve.log_in(third.replace("-", "").replace("0", "O").replace("1", "l")).status_code == 200


def test_of_concurrent_log_ins_with_one_recovery_code_one_succeeds(eve, make_replica):
    eve.turn_on()
    replicas = [eve.client.application, make_replica()]
    body = {"username": eve.username, "password": eve.password, "otp": eve.recovery_codes[0]}
    answers = run_at_once(
        5, lambda number: replicas[number % 2].test_client(use_cookies=False).post("/auth", json=body)
    )
    assert sorted(answer_of(each) for each in answers) == [(200, None)] + [OTP_INVALID] * 4


def test_a_recovery_code_of_a_different_user_is_wrong(app, clock, eve):
    eve.turn_on()
    bob = open_account(app, clock, {"username": "bob", "password": EVE["password"]}).turn_on()
    assert answer_of(bob.log_in(eve.recovery_codes[0])) == OTP_INVALID
    assert eve.show()["recovery_codes_left"] == 10


def test_a_recovery_code_gets_an_owner_in_whose_codes_an_attacker_has_used_up(eve):
    eve.turn_on()
    for _ in range(6):
        answer = eve.log_in(eve.guess(), address=AWAY)
    assert answer_of(answer) == THROTTLED
    assert answer_of(eve.log_in(eve.read_code())) == THROTTLED
    assert eve.log_in(eve.recovery_codes[0]).status_code == 200


def test_wrong_recovery_codes_are_throttled_like_passwords(eve, run_sql):
    eve.turn_on()
    run_sql("DELETE FROM known_places")
    answers = [answer_of(eve.log_in("0000-0000-0000-0000", address=AWAY)) for _ in range(6)]
    assert answers == [OTP_INVALID] * 5 + [THROTTLED]


def test_it_cannot_be_turned_off_without_both_the_password_and_a_code(eve):
    eve.turn_on()
    assert eve.turn_off("").status_code == 422
    assert answer_of(eve.turn_off(eve.guess())) == (422, "wrong_code")
    assert answer_of(eve.turn_off(eve.read_code(), password="wrong")) == (422, "wrong_password")
    assert eve.client.delete("/auth/totp", headers=eve.headers).status_code == 415
    body = {"current_password": eve.password}
    assert eve.client.delete("/auth/totp", json=body, headers=eve.headers).status_code == 422
    assert eve.show()["has_totp"] is True
    # The wrong password has not used up the code.
    assert eve.turn_off(eve.read_code()).status_code == 204


@pytest.mark.parametrize("by", ["code", "recovery code"])
def test_once_it_is_off_a_log_in_needs_no_code(eve, events, run_sql, by):
    eve.turn_on()
    answer = eve.turn_off(eve.read_code() if by == "code" else eve.recovery_codes[0])
    assert (answer.status_code, answer.data) == (204, b"")
    assert {name: eve.show()[name] for name in ("has_totp", "recovery_codes_left")} == {
        "has_totp": False,
        "recovery_codes_left": 0,
    }
    assert eve.log_in().status_code == 200
    assert answer_of(eve.turn_off(eve.guess())) == (409, "totp_off")
    for table in ("totp_secrets", "recovery_codes"):
        assert run_sql(f"SELECT count(*) FROM {table}") == [(0,)]
    [record] = events("auth.totp.turned_off")
    assert record["user.id"] == record["audit.target"] == eve.user_id
    eve.clock.advance()
    eve.turn_on()
    assert answer_of(eve.log_in()) == OTP_REQUIRED


def test_a_changed_password_and_a_refresh_keep_it_on(eve):
    eve.turn_on()
    body = {"current_password": eve.password, "new_password": NEWER}
    answer = eve.client.post("/auth/password", json=body, headers=eve.headers)
    assert answer.status_code == 200
    eve.tokens, eve.password = answer.json, NEWER
    assert eve.refresh().status_code == 200
    assert answer_of(eve.log_in()) == OTP_REQUIRED
    assert eve.log_in(eve.read_code()).status_code == 200


def test_a_guests_cart_moves_only_with_a_complete_log_in(eve):
    eve.turn_on()
    guest = eve.client.post("/auth/guest").json
    pair = {"username": eve.username, "password": eve.password}
    refused = eve.client.post("/auth", json=pair, headers=bearer(guest["access_token"]))
    assert answer_of(refused) == OTP_REQUIRED
    assert eve.client.get("/auth/me", headers=bearer(guest["access_token"])).status_code == 200
    body = {**pair, "otp": eve.read_code()}
    answer = eve.client.post("/auth", json=body, headers=bearer(guest["access_token"]))
    claims = claims_of(answer.json["access_token"])
    assert claims["guest_sub"] == claims_of(guest["access_token"])["sub"]


def test_a_user_without_it_logs_in_as_before(client):
    answer = client.post("/auth", json=ADMIN)
    assert list(answer.json) == ["message", "access_token", "token_type", "expires_in", "refresh_token"]
    assert answer.json["message"] == "Authentication successful"
    assert claims_of(answer.json["access_token"])["role"] == "admin"


def test_the_audit_trail_records_refused_codes(eve, events):
    eve.turn_on()
    eve.log_in()
    for _ in range(6):
        eve.log_in(eve.guess())
    eve.log_in("0000-0000-0000-0000")
    reasons = [each["audit.reason"] for each in events("auth.login.failed")]
    assert reasons == ["wrong code"] * 5 + ["too many codes", "wrong code"]
    assert {each["user.id"] for each in events("auth.login.failed")} == {eve.user_id}
    assert len(events("auth.login.otp_required")) == 1


def test_admins_see_who_has_it(app, clock, eve, admin):
    client = app.test_client(use_cookies=False)

    def read():
        listed = client.get("/auth/users", headers=admin).json["data"]
        assert client.get(f"/auth/users/{eve.user_id}", headers=admin).json in listed
        return {user["username"]: user["has_totp"] for user in listed}

    assert read() == {"eve": False, "admin": False}
    eve.turn_on()
    assert read() == {"eve": True, "admin": False}


# Staff under REQUIRE_STAFF_TOTP.


@pytest.fixture
def strict(make_replica):
    """auth-service with REQUIRE_STAFF_TOTP."""
    return make_replica(require_staff_totp="yes")


def role_of(tokens):
    return claims_of(tokens["access_token"])["role"]


def test_staff_without_it_log_in_only_to_turn_it_on(strict, clock):
    admin = open_account(strict, clock, ADMIN)
    assert (role_of(admin.tokens), admin.tokens["totp_required"]) == ("customer", True)
    assert admin.client.get("/auth/users", headers=admin.headers).status_code == 403
    assert {name: admin.show()[name] for name in ("role", "has_totp", "totp_required")} == {
        "role": "admin",
        "has_totp": False,
        "totp_required": True,
    }
    answer = admin.refresh()
    assert (role_of(answer.json), answer.json["totp_required"]) == ("customer", True)
    admin.turn_on()
    assert admin.show()["totp_required"] is False
    answer = admin.refresh()
    assert role_of(answer.json) == "admin"
    assert "totp_required" not in answer.json
    assert admin.client.get("/auth/users", headers=admin.headers).status_code == 200
    assert role_of(admin.log_in(admin.read_code()).json) == "admin"


def test_a_session_from_before_the_setting_loses_the_role_at_its_next_refresh(app, strict, clock):
    admin = open_account(app, clock, ADMIN)
    assert role_of(admin.tokens) == "admin"
    admin.client = strict.test_client(use_cookies=False)
    assert role_of(admin.refresh().json) == "customer"


def test_a_changed_password_does_not_bring_the_role(strict, clock):
    admin = open_account(strict, clock, ADMIN)
    body = {"current_password": admin.password, "new_password": NEWER}
    answer = admin.client.post("/auth/password", json=body, headers=admin.headers)
    assert (role_of(answer.json), answer.json["totp_required"]) == ("customer", True)


def test_a_user_who_becomes_an_admin_must_turn_it_on_first(strict, clock):
    admin = open_account(strict, clock, ADMIN).turn_on()
    admin.refresh()
    eve = open_account(strict, clock)
    assert eve.show()["totp_required"] is False
    path = f"/auth/users/{eve.user_id}"
    change = {"role": "admin", "current_password": ADMIN["password"]}
    assert admin.client.patch(path, json=change, headers=admin.headers).status_code == 200
    eve.tokens = eve.log_in().json
    assert role_of(eve.tokens) == "customer"
    eve.turn_on().refresh()
    assert role_of(eve.tokens) == "admin"


def test_customers_need_none(strict, clock):
    eve = open_account(strict, clock)
    assert "totp_required" not in eve.log_in().json
    assert eve.show()["totp_required"] is False


def test_staff_who_turn_it_off_lose_all_tokens_with_the_role(strict, clock):
    admin = open_account(strict, clock, ADMIN).turn_on()
    admin.refresh()
    assert admin.turn_off(admin.read_code()).status_code == 204
    assert admin.client.get("/auth/users", headers=admin.headers).status_code == 401
    assert admin.refresh().status_code == 401
    assert role_of(admin.log_in().json) == "customer"


def test_others_who_turn_it_off_keep_their_sessions(strict, clock):
    eve = open_account(strict, clock).turn_on()
    assert eve.turn_off(eve.read_code()).status_code == 204
    assert eve.refresh().status_code == 200


def test_without_the_setting_staff_need_none(app, clock):
    admin = open_account(app, clock, ADMIN)
    assert role_of(admin.tokens) == "admin"
    assert admin.show()["totp_required"] is False
    admin.turn_on()
    assert admin.turn_off(admin.read_code()).status_code == 204
    assert role_of(admin.refresh().json) == "admin"


# The operator's command.


def test_an_operator_turns_it_off_for_a_user_who_lost_everything(eve, database, events):
    eve.turn_on()
    [line] = command.turn_off_totp(database, "EVE")
    assert line.startswith("eve logs in with the password alone.")
    assert eve.client.get("/auth/me", headers=eve.headers).status_code == 401
    assert eve.log_in().status_code == 200
    [record] = events("auth.totp.turned_off")
    assert record["audit.target"] == eve.user_id
    assert record["audit.sessions_ended"] == 1
    assert "user.id" not in record


def test_the_command_refuses_an_unknown_user_and_one_without_it(eve, database):
    with pytest.raises(UserNotFound):
        command.turn_off_totp(database, "unknown")
    with pytest.raises(TotpOff):
        command.turn_off_totp(database, "eve")
    eve.begin()
    with pytest.raises(TotpOff):
        command.turn_off_totp(database, "eve")
