"""The rotation of signing keys while the shop runs."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt
import pytest
import requests

from auth import signing_keys
from auth.commands.signing_keys import main, run
from auth.errors import KeyNeeded, KeyNotFound
from auth.issuer import TokenIssuer
from auth.repository.signing_keys import read_clock, read_signing_keys
from auth.signing_keys import MAX_AGE, SigningKeys
from auth.use_cases.signing_keys import PUBLISHED_FOR, list_keys, retire_key, rotate_keys
from auth.use_cases.sweep import sweep
from shared import jwks
from shared.errors import DatabaseUnavailable, KeysUnavailable, TokenInvalid
from shared.jwks import JwksClient
from shared.tokens import LEEWAY, Auth, TokenVerifier
from tests.auth.conftest import bearer, make_settings
from tests.conftest import send_json
from tests.fakes import FakeAuth
from tests.stacks import ROOT
from tests.waiting import wait_for

LIFE = 900


@pytest.fixture
def settings(standing_start):
    """Settings of a service at its first start."""
    standing, _ = standing_start
    standing.restore()
    return make_settings(standing.url)


@pytest.fixture
def database(standing_start, settings):
    """The empty database of the service."""
    return standing_start[1]


@pytest.fixture
def app(make_replica):
    """A new application, because a shared one would keep the keys of earlier tests."""
    return make_replica()


@pytest.fixture
def first(database):
    """The key that the first start creates."""
    return SigningKeys(database).signing_key().kid


class NothingSignedOff:
    """An empty list of sign-offs."""

    def has_any(self, _ids):
        return False

    def check(self):
        return None


def rotate(database, published_for=PUBLISHED_FOR):
    return rotate_keys(database, token_seconds=LIFE, published_for=published_for).kid


def states(database):
    return {key.kid: state for key, state in list_keys(database)}


def let_pass(database, seconds):
    """Shift the times of the keys into the past."""
    change = "UPDATE signing_keys SET signs_from = signs_from - $1, verifies_until = verifies_until - $1"
    with database.transaction() as connection:
        connection.exec_driver_sql(change.replace("$1", f"interval '{seconds} seconds'"))


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def grant(client):
    answer = client.post(
        "/auth/token",
        data={
            "grant_type": "client_credentials",
            "client_id": "orders-service",
            "client_secret": "orders secret",
        },
    )
    return answer.json["access_token"]


def test_the_first_key_signs_at_once(database, first):
    assert states(database) == {first: "signing"}


def test_a_new_key_is_published_at_once_and_signs_after_all_copies_have_it(database, first, make_replica):
    second = rotate(database)
    client = make_replica().test_client()
    published = {key["kid"] for key in client.get("/.well-known/jwks.json").json["keys"]}
    assert published == {first, second}
    assert states(database) == {second: "next", first: "signing"}
    assert kid_of(grant(client)) == first
    assert PUBLISHED_FOR >= jwks.REFRESH_AFTER + 30 + 10
    let_pass(database, PUBLISHED_FOR)
    assert states(database) == {second: "signing", first: "verifying"}
    assert kid_of(grant(make_replica().test_client())) == second


def test_a_replica_switches_keys_at_the_scheduled_time(database, first, monkeypatch):
    monkeypatch.setattr(signing_keys, "REFRESH_AFTER", 0.05)
    keys = SigningKeys(database)
    assert keys.signing_key().kid == first
    second = rotate(database, published_for=1)
    wait_for(lambda: len(keys.published()) == 2)
    assert keys.signing_key().kid == first
    scheduled = next(key.signs_from for key, _ in list_keys(database) if key.kid == second)
    wait_for(lambda: keys.signing_key().kid == second)
    with database.transaction() as connection:
        late = connection.exec_driver_sql("SELECT clock_timestamp()").scalar() - scheduled
    assert timedelta(0) <= late < timedelta(seconds=0.5)


def test_no_key_signs_early_if_the_database_responds_late(database, first, monkeypatch):
    rotate(database)
    read_clock, clock = signing_keys.repository.read_clock, time.monotonic()

    def read_late(connection):
        nonlocal clock
        clock += PUBLISHED_FOR + 1
        return read_clock(connection)

    monkeypatch.setattr(signing_keys.repository, "read_clock", read_late)
    monkeypatch.setattr(signing_keys.time, "monotonic", lambda: clock)
    assert SigningKeys(database).signing_key().kid == first


def test_the_old_key_verifies_until_its_last_token_expires_and_is_then_deleted(database, first, client):
    second = rotate(database)
    let_pass(database, PUBLISHED_FOR)
    [old] = [key for key, state in list_keys(database) if state == "verifying"]
    [new] = [key for key, state in list_keys(database) if state == "signing"]
    assert new.verifies_until is None
    assert old.verifies_until - new.signs_from == timedelta(seconds=LIFE + LEEWAY + MAX_AGE)
    let_pass(database, LIFE + LEEWAY + MAX_AGE - 5)
    assert states(database).keys() == {first, second}
    sweep(database)
    assert states(database).keys() == {first, second}
    let_pass(database, 6)
    assert states(database).keys() == {second}
    assert [key.kid for key in SigningKeys(database).published()] == [second]
    sweep(database)
    with database.transaction() as connection:
        assert [key.kid for key in read_signing_keys(connection)] == [second]


def test_no_call_fails_and_all_tokens_verify_during_a_rotation(database, make_replica, serve, monkeypatch):
    # The production ratios, but faster. A consumer cannot fetch an unknown key at once.
    monkeypatch.setattr(jwks, "REFRESH_AFTER", 0.3)
    monkeypatch.setattr(jwks, "COOL_DOWN", 0.3)
    monkeypatch.setattr(signing_keys, "REFRESH_AFTER", 0.05)
    urls = [serve(make_replica()) for _ in range(2)]
    consumers = [
        TokenVerifier(Auth(JwksClient(url), NothingSignedOff()), "http://localhost:8080") for url in urls
    ]
    issued, failures, stop = [], [], threading.Event()

    def call(number):
        form = {"grant_type": "client_credentials"}
        with requests.Session() as session:
            session.auth = ("orders-service", "orders secret")
            while not stop.wait(0.01):
                try:
                    answer = session.post(f"{urls[number % 2]}/auth/token", data=form, timeout=10)
                    token = answer.json()["access_token"]
                    # The key set of the other replica must verify it, too.
                    for consumer in consumers:
                        consumer.verify(token)
                    issued.append((kid_of(token), token))
                except Exception as error:
                    failures.append(repr(error))

    with ThreadPoolExecutor(2) as pool:
        for number in range(2):
            pool.submit(call, number)
        try:
            old = wait_for(lambda: issued and issued[0][0])
            new = rotate(database, published_for=PUBLISHED_FOR / 60)
            wait_for(lambda: issued[-1][0] == new)
            enough = len(issued) + 20
            wait_for(lambda: len(issued) > enough)
        finally:
            stop.set()
    assert failures == []
    assert {kid for kid, _ in issued} == {old, new}
    order = [kid for kid, _ in issued]
    assert order.index(new) > 5
    for consumer in consumers:
        assert {consumer.verify(token).sub for _, token in (issued[0], issued[-1])} == {"orders-service"}


def test_concurrent_rotations_publish_one_key(database, first):
    start = threading.Barrier(8)

    def rotate_together():
        start.wait()
        return rotate(database)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            made = {each.result() for each in [pool.submit(rotate_together) for _ in range(8)]}
            assert len(made) == 1
            assert list(states(database).values()).count("next") == 1
            let_pass(database, PUBLISHED_FOR)
    assert len(states(database)) == 11


def test_concurrent_first_starts_create_one_key(database):
    with ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(SigningKeys(database).signing_key) for _ in range(8)]
        assert len({each.result().kid for each in tries}) == 1


def test_rotating_again_while_a_key_waits_changes_nothing(database, first):
    second = rotate(database)
    [before] = [key for key, state in list_keys(database) if state == "next"]
    assert rotate(database) == second
    [after] = [key for key, state in list_keys(database) if state == "next"]
    assert after == before


def test_in_an_emergency_the_next_key_signs_at_once(database, first):
    second = rotate(database)
    assert rotate(database, published_for=0) == second
    assert states(database) == {second: "signing", first: "verifying"}
    third = rotate(database, published_for=0)
    assert states(database) == {third: "signing", second: "verifying", first: "verifying"}


def test_without_any_key_a_rotation_creates_one_that_signs_at_once(database):
    made = rotate(database)
    assert states(database) == {made: "signing"}
    assert SigningKeys(database).signing_key().kid == made


def test_retiring_a_key_invalidates_all_its_tokens(database, first, client, make_replica, serve, monkeypatch):
    monkeypatch.setattr(jwks, "REFRESH_AFTER", 0.1)
    monkeypatch.setattr(jwks, "COOL_DOWN", 0.1)
    monkeypatch.setattr(signing_keys, "REFRESH_AFTER", 0.05)
    consumer = TokenVerifier(
        Auth(JwksClient(serve(make_replica())), NothingSignedOff()), "http://localhost:8080"
    )
    token = grant(client)
    assert consumer.verify(token)
    second = rotate(database, published_for=0)
    retire_key(database, first)
    assert states(database) == {second: "signing"}

    def is_refused():
        try:
            consumer.verify(token)
        except TokenInvalid:
            return True
        return False

    wait_for(is_refused)
    wait_for(lambda: kid_of(grant(client)) == second)
    assert client.get("/auth/me", headers=bearer(token)).status_code == 401
    assert consumer.verify(grant(client))


def test_the_key_that_signs_cannot_be_retired(database, first):
    with pytest.raises(KeyNeeded):
        retire_key(database, first)
    rotate(database)
    with pytest.raises(KeyNeeded):
        retire_key(database, first)
    with pytest.raises(KeyNotFound):
        retire_key(database, "nothing")


def test_retiring_the_next_key_cancels_the_rotation(database, first):
    before = list_keys(database)
    retire_key(database, rotate(database))
    assert list_keys(database) == before
    assert before[0].key.verifies_until is None


def test_retiring_a_key_that_only_verifies_does_not_change_the_rest(database, first):
    second = rotate(database, published_for=0)
    third = rotate(database)
    before = {key.kid: key for key, _ in list_keys(database)}
    retire_key(database, first)
    assert {key.kid: key for key, _ in list_keys(database)} == {kid: before[kid] for kid in (second, third)}


def test_keys_of_older_code_sign_at_once(database, first):
    with database.transaction() as connection:
        connection.exec_driver_sql(
            "INSERT INTO signing_keys (kid, private_key) SELECT 'old-code', private_key FROM signing_keys"
        )
    assert states(database)["old-code"] == "signing"


class UnreliableDatabase:
    """A database that can become unavailable."""

    def __init__(self, database):
        self.database = database
        self.is_down = False
        self.calls = 0

    def transaction(self):
        self.calls += 1
        if self.is_down:
            raise DatabaseUnavailable
        return self.database.transaction()


def test_without_the_database_a_copy_signs_and_verifies_for_fifteen_minutes(database, first, monkeypatch):
    unreliable = UnreliableDatabase(database)
    keys = SigningKeys(unreliable)
    clock = time.monotonic()
    monkeypatch.setattr(signing_keys.time, "monotonic", lambda: clock)
    assert keys.check() is None
    unreliable.is_down = True
    unreliable.calls = 0
    clock += 60
    for _ in range(5):
        assert keys.signing_key().kid == first
    assert keys.find_key(first) is not None
    assert unreliable.calls == 1
    assert "60 s old" in keys.check()
    clock += MAX_AGE
    for call in (keys.signing_key, keys.check, keys.published):
        with pytest.raises(KeysUnavailable):
            call()
    unreliable.is_down = False
    clock += 2
    assert keys.signing_key().kid == first


def test_without_a_copy_and_a_database_keys_are_unavailable(database):
    unreliable = UnreliableDatabase(database)
    unreliable.is_down = True
    with pytest.raises(KeysUnavailable):
        SigningKeys(unreliable).find_key("any")


def test_the_old_key_verifies_longer_than_any_copy_signs(database, first, settings):
    """A replica that loses the database before a rotation signs with the old key while its copy is valid."""
    rotate(database, published_for=0)
    [old] = [key for key, state in list_keys(database) if state == "verifying"]
    [new] = [key for key, state in list_keys(database) if state == "signing"]
    last_signed = new.signs_from + timedelta(seconds=MAX_AGE)
    assert old.verifies_until >= last_signed + timedelta(seconds=settings.token_seconds + LEEWAY)


def test_the_command_lists_keys_and_reports_changes(database, settings, first):
    rotated = run(database, settings, ["rotate"])
    second = next(key.kid for key, state in list_keys(database) if state == "next")
    assert rotated[0].startswith(f"{second} signs from 2")
    lines = [line.split() for line in run(database, settings, ["list"])]
    assert lines[0][:2] == ["KEY", "STATE"]
    assert [line[:2] for line in lines[1:]] == [[second, "next"], [first, "signing"]]
    run(database, settings, ["rotate", "--now"])
    assert "refused" in run(database, settings, ["retire", first])[0]
    assert [line.split()[:2] for line in run(database, settings, ["list"])[1:]] == [[second, "signing"]]


def test_the_command_rotates_after_the_given_seconds(database, settings, first):
    run(database, settings, ["rotate", "--after", "3600"])
    with database.transaction() as connection:
        stored = {key.kid: key.signs_from for key in read_signing_keys(connection)}
        wait = max(stored.values()) - read_clock(connection)
    assert timedelta(seconds=3500) < wait <= timedelta(seconds=3600)


def test_the_command_never_shows_a_private_key(database, settings, first, caplog):
    output = [run(database, settings, words) for words in (["list"], ["rotate", "--now"], ["retire", first])]
    with database.transaction() as connection:
        secret = read_signing_keys(connection)[0].private_key
    for line in secret.splitlines():
        assert line not in str(output)
        assert line not in caplog.text
        assert line not in repr(list_keys(database))


def start_command(settings, *words, **environment):
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'auth-service'}",
        "SERVICE": "auth-service",
        "DATABASE_URL": settings.database_url,
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-m", "auth.commands.signing_keys", *words],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_runs_and_ships_its_audit_record_to_logs_service(database, settings, first, fake_server):
    fake_server.answer = lambda handler, _body: send_json(handler, b"{}")
    done = start_command(settings, "rotate", LOGS_URL=fake_server.url)
    assert done.returncode == 0, done.stderr
    second = next(key.kid for key, state in list_keys(database) if state == "next")
    assert done.stdout.startswith(second)
    [(_, path, headers, body)] = fake_server.requests
    assert path == "/v1/logs"
    assert b"auth.key.rotated" in body
    assert second.encode() in body
    verifier = TokenVerifier(Auth(SigningKeys(database), NothingSignedOff()), settings.public_url)
    assert verifier.verify(headers["Authorization"].removeprefix("Bearer ")).client_id == "auth-service"


def test_the_command_reports_each_failure_in_a_sentence(database, settings, first, monkeypatch, capsys):
    monkeypatch.setenv("SERVICE", settings.service)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    cases = [
        (["retire", "nothing"], "No signing key has this id"),
        (["retire"], "the following arguments are required: key"),
        (["remove"], "invalid choice"),
        (["rotate", "--after", "-1"], "give 0 to 86400 seconds"),
        (["rotate", "--after", "nan"], "give 0 to 86400 seconds"),
        (["rotate", "--after", "86401"], "give 0 to 86400 seconds"),
        (["rotate", "--after", "5", "--now"], "not allowed with argument --after"),
        ([], "required: command"),
    ]
    wrong = {}
    for words, sentence in cases:
        monkeypatch.setattr(sys, "argv", ["auth.commands.signing_keys", *words])
        with pytest.raises(SystemExit) as refused:
            main()
        # sys.exit() with a sentence prints it and exits with status 1.
        output = f"{refused.value.code}\n{capsys.readouterr().err}"
        if refused.value.code in {None, 0} or sentence not in output:
            wrong[" ".join(words)] = output
    assert wrong == {}
    assert states(database) == {first: "signing"}


def test_a_token_of_an_unpublished_key_is_refused(database, first, settings):
    verifier = TokenVerifier(Auth(SigningKeys(database), NothingSignedOff()), settings.public_url)
    with pytest.raises(TokenInvalid):
        verifier.verify(FakeAuth().token())
    issuer = TokenIssuer(SigningKeys(database), settings.public_url, LIFE)
    assert verifier.verify(issuer.issue(sub="x", role="customer").access_token).sub == "x"
