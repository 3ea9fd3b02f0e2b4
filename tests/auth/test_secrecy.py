"""No log record and no error response contains passwords or tokens."""

import io
import json
import logging
from contextlib import closing

import pyotp
import pytest

from shared.database import connect
from shared.log import JsonFormatter
from tests.auth.conftest import ADMIN, bearer, claims_of, make_settings

PASSWORDS = ["Sesame-open-4711", "Sesame-shut-0815", "Sesame-wrong-1234"]


@pytest.fixture
def settings(reuse_database):
    """Settings of a database whose schema the test may change."""
    return make_settings(reuse_database("auth-service"))


@pytest.fixture
def database(settings):
    """The database."""
    with closing(connect(settings)) as database:
        yield database


@pytest.fixture
def app(make_replica):
    """auth-service on that database."""
    return make_replica()


@pytest.fixture
def logged(app):
    """All log records from now on, both as JSON and as `repr` of all attributes."""
    output = io.StringIO()
    handler = logging.StreamHandler(output)
    handler.setFormatter(JsonFormatter("auth-service", "test"))
    handler.addFilter(lambda record: bool(output.write(repr(vars(record)))) or True)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield output
    root.removeHandler(handler)
    root.setLevel(level)


def test_only_responses_contain_passwords_and_tokens(app, database, logged, run_sql):
    client = app.test_client()
    secrets, refusals = list(PASSWORDS), []
    old, new, wrong = PASSWORDS

    def call(method, path, **options):
        answer = client.open(path, method=method, **options)
        if answer.status_code >= 400:
            refusals.append(answer.text)
        elif answer.data and answer.is_json:
            body = answer.json
            secrets.extend(
                body[name] for name in ("access_token", "refresh_token", "client_secret") if name in body
            )
        return answer

    def pair(password, username="eve"):
        return {"username": username, "password": password}

    # Log-ins and registrations.
    call("POST", "/auth/guest")
    call("POST", "/auth/refresh")
    call("POST", "/auth/register", json=pair(old))
    call("POST", "/auth/register", json=pair(old))
    call("POST", "/auth", json=pair(wrong))
    call("POST", "/auth", json=pair(wrong, username=wrong))
    first = call("POST", "/auth", json=pair(old)).json
    call("POST", "/auth/password", json={"current_password": wrong, "new_password": new})
    call("POST", "/auth/password", json={"current_password": old, "new_password": new})
    # Expired, reused and misplaced tokens.
    call("GET", "/auth/me", headers=bearer(first["access_token"]))
    call("GET", "/auth/me", headers={"X-Request-ID": "known", **bearer("x" + first["access_token"])})
    call("POST", "/auth/refresh", json={"refresh_token": first["refresh_token"]})
    call("POST", "/auth/refresh", json={"refresh_token": first["refresh_token"], "password": old})
    call("GET", f"/auth/me?token={first['access_token']}&password={old}")
    call("GET", f"/auth/{first['refresh_token']}")
    # A session that ends because of reuse.
    session = call("POST", "/auth", json=pair(new)).json
    call("POST", "/auth/refresh", json={"refresh_token": session["refresh_token"]})
    run_sql("UPDATE refresh_tokens SET used_at = used_at - interval '1 h'")
    call("POST", "/auth/refresh", json={"refresh_token": session["refresh_token"]})
    # Invalid bodies.
    call("POST", "/auth", data=json.dumps(pair(new))[:-1], content_type="application/json")
    call("POST", "/auth", json={"username": [new], "password": {"x": new}})
    call("POST", "/auth/register", json=pair(new, username="x"))
    call("POST", "/auth", data=pair(new))
    # Two-factor authentication.
    session = call("POST", "/auth", json=pair(new)).json
    headers = bearer(session["access_token"])
    call("POST", "/auth/totp", json={"current_password": wrong}, headers=headers)
    enrolment = call("POST", "/auth/totp", json={"current_password": new}, headers=headers).json
    digits = pyotp.TOTP(enrolment["secret"]).now()
    # Six digits alone also occur in times.
    app_code = " ".join(digits)
    call("POST", "/auth/totp/confirm", json={"code": "no code 8317"}, headers=headers)
    confirmed = call("POST", "/auth/totp/confirm", json={"code": app_code}, headers=headers).json
    first, second, third = confirmed["recovery_codes"][:3]
    call("POST", "/auth", json={**pair(new), "otp": app_code})
    call("POST", "/auth", json={**pair(new), "otp": "no code 8317"})
    call("POST", "/auth", json={**pair(new), "otp": first})
    call("POST", "/auth", json={**pair(new), "otp": first})
    call("POST", "/auth", json={**pair(new), "otp": [second]})
    call("DELETE", "/auth/totp", json={"current_password": new, "code": app_code}, headers=headers)
    assert (
        call(
            "DELETE", "/auth/totp", json={"current_password": new, "code": third}, headers=headers
        ).status_code
        == 204
    )
    secrets += [enrolment["secret"], enrolment["uri"], enrolment["qr"][0], "no code 8317"]
    secrets += [app_code, f"'{digits}'", f'"{digits}"']
    secrets += confirmed["recovery_codes"]
    # OAuth clients.
    form = {
        "grant_type": "client_credentials",
        "client_id": "orders-service",
        "client_secret": "orders secret",
    }
    secrets.append("orders secret")
    call("POST", "/auth/token", data=form)
    call("POST", "/auth/token", data={**form, "client_secret": wrong})
    admin = call("POST", "/auth", json=ADMIN).json
    headers = bearer(admin["access_token"])
    made = call("POST", "/auth/clients", json={"name": "a shop", "scopes": ["logs:read"]}, headers=headers)
    assert made.status_code == 201
    call("POST", f"/auth/clients/{made.json['id']}/secret", headers=headers)
    # A new role needs the admin's password.
    user = f"/auth/users/{claims_of(session['access_token'])['sub']}"
    call("PATCH", user, json={"role": "clerk", "current_password": wrong}, headers=headers)
    call("PATCH", user, json={"role": "clerk", "current_password": wrong, "password": new}, headers=headers)
    form = {"token": admin["refresh_token"], "client_id": "shop"}
    call("POST", "/auth/revoke", data=form)
    call("POST", "/auth/logout", headers=headers)
    # A database without a table.
    run_sql("ALTER TABLE sessions RENAME TO renamed")
    assert call("POST", "/auth", json=pair(new)).status_code == 500
    assert call("POST", "/auth/refresh", json={"refresh_token": session["refresh_token"]}).status_code == 500

    text = logged.getvalue() + "".join(refusals)
    assert len(secrets) > 15
    assert len(refusals) > 12
    assert "shopfleet.audit" in text
    for secret in secrets:
        assert secret not in text
        # Also check for the secret part alone: the signature, or the refresh token without its prefix.
        assert secret.rpartition(".")[2].removeprefix("sfr_") not in text
