"""The first admin, and further admins by command."""

import io
import sys

import pytest

from auth.commands import users as command
from auth.commands.seed import seed_users
from auth.config import Settings
from auth.errors import UsernameTaken, WeakPassword
from tests.auth.conftest import ADMIN, PRODUCTION, claims_of

GOOD = "a good long password"


def log_in(client, username, password):
    return client.post("/auth", json={"username": username, "password": password})


def test_an_admin_by_command_can_log_in(client, database, passwords):
    assert command.run(database, "eve", GOOD, passwords) == ["eve is an admin."]
    answer = log_in(client, "eve", GOOD)
    assert claims_of(answer.json["access_token"])["role"] == "admin"


def test_without_a_password_one_is_generated_and_shown_once(client, database, passwords):
    result, shown = command.run(database, "eve", "", passwords)
    assert result == "eve is an admin."
    password = shown.removeprefix("eve password (shown once): ")
    assert len(password) >= 16
    assert log_in(client, "eve", password).status_code == 200


def test_a_taken_name_and_a_weak_password_are_refused(client, database, passwords):
    with pytest.raises(UsernameTaken):
        command.run(database, "ADMIN", GOOD, passwords)
    with pytest.raises(WeakPassword):
        command.run(database, "eve", "password1", passwords)
    assert log_in(client, **ADMIN).status_code == 200


@pytest.fixture
def on_the_command_line(monkeypatch, settings, client):
    def call(*words, stdin="", **environment):
        variables = {"SERVICE": "auth-service", "DATABASE_URL": settings.database_url, **environment}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["auth.commands.users", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        command.main()

    return call


def test_the_password_is_read_from_standard_input(on_the_command_line, client, capsys):
    on_the_command_line("create-admin", "eve", stdin=f"{GOOD}\n")
    assert "eve is an admin." in capsys.readouterr().out
    assert log_in(client, "eve", GOOD).status_code == 200


def test_the_password_is_read_from_a_file(on_the_command_line, client, tmp_path, capsys):
    (tmp_path / "password").write_text(GOOD + "\n")
    on_the_command_line("create-admin", "eve", ADMIN_PASSWORD_FILE=str(tmp_path / "password"))
    assert GOOD not in capsys.readouterr().out
    assert log_in(client, "eve", GOOD).status_code == 200


def test_two_factor_authentication_is_turned_off_on_the_command_line(
    on_the_command_line, client, capsys, run_sql
):
    run_sql("UPDATE users SET totp_confirmed_at = now()")
    assert log_in(client, **ADMIN).json["code"] == "otp_required"
    on_the_command_line("turn-off-totp", "admin")
    assert "admin logs in with the password alone." in capsys.readouterr().out
    assert log_in(client, **ADMIN).status_code == 200


@pytest.mark.parametrize(
    ("words", "stdin", "sentence"),
    [
        (["turn-off-totp", "unknown"], "", "No user has this name."),
        (["turn-off-totp", "admin"], "", "Two-factor authentication is off."),
        (["create-admin", "admin"], GOOD, "This username is taken"),
        (["create-admin", "eve"], "short", "The password must have 8 to 1024 characters."),
        (["create-admin", "guest-7"], GOOD, "must not begin with guest-"),
        (["create-admin"], GOOD, "the following arguments are required: name"),
    ],
)
def test_each_failure_ends_with_a_sentence(on_the_command_line, capsys, words, stdin, sentence):
    with pytest.raises(SystemExit) as refused:
        on_the_command_line(*words, stdin=stdin)
    assert refused.value.code != 0
    assert sentence in f"{refused.value.code}{capsys.readouterr().err}"


def test_the_first_admin_has_the_password_from_the_file(settings, database, passwords, make_replica):
    exposed = Settings(**{**settings.model_dump(), "bind": "0.0.0.0", "admin_password": GOOD})
    assert seed_users(database, exposed, passwords) is None
    client = make_replica(bind="0.0.0.0").test_client()
    assert log_in(client, "admin", GOOD).status_code == 200
    # The file is for the first start only and does not overwrite a later password.
    other = Settings(**{**settings.model_dump(), "bind": "0.0.0.0", "admin_password": "another good one"})
    assert seed_users(database, other, passwords) is None
    assert log_in(client, "admin", GOOD).status_code == 200


@pytest.mark.parametrize(
    ("password", "detail"),
    [("Password2024!", "is too easy to guess"), ("admin123", "must not be based on")],
)
def test_a_weak_password_in_the_file_stops_the_start(settings, database, passwords, capsys, password, detail):
    exposed = Settings(**{**settings.model_dump(), "bind": "0.0.0.0", "admin_password": password})
    with pytest.raises(SystemExit):
        seed_users(database, exposed, passwords)
    error = capsys.readouterr().err
    assert f"ADMIN_PASSWORD {detail}" in error
    assert password not in error


def test_sessions_with_the_published_password_end_when_the_shop_is_exposed(
    settings, database, passwords, client
):
    token = log_in(client, **ADMIN).json["access_token"]
    exposed = Settings(**{**settings.model_dump(), **PRODUCTION})
    assert seed_users(database, exposed, passwords)
    answer = client.get("/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json["code"] == "token_invalid"
    assert log_in(client, **ADMIN).status_code == 401


def test_production_loads_no_demo_users_and_marks_every_cookie_secure(
    settings, database, passwords, make_replica
):
    production = Settings(**{**settings.model_dump(), **PRODUCTION})
    assert not production.loads_demo_users
    client = make_replica(**PRODUCTION).test_client()
    cookies = client.post("/auth/guest").headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all("Secure" in cookie for cookie in cookies)
