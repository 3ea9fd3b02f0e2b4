"""Settings from the environment; errors name the variable."""

import pytest

from auth.config import Settings as AuthSettings
from catalog.config import Settings as CatalogSettings
from shared.settings import CallerSettings, ServiceSettings, read_settings

GOOD = {
    "SERVICE": "orders-service",
    "DATABASE_URL": "postgresql://orders@db/orders",
    "AUTH_URL": "http://auth:5000",
    "CLIENT_SECRET": "a secret",
}


def refuse(capsys, model, environ) -> str:
    with pytest.raises(SystemExit) as stopped:
        read_settings(model, environ)
    assert stopped.value.code == 3
    return capsys.readouterr().err


def test_most_settings_have_defaults():
    settings = read_settings(CallerSettings, GOOD)
    assert settings.public_url == "http://localhost:8080"
    assert not settings.production
    assert settings.instance


def test_an_empty_variable_counts_as_unset():
    assert read_settings(CallerSettings, {**GOOD, "LOG_LEVEL": ""}).log_level == "INFO"


def test_a_secret_can_be_read_from_a_file(tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    settings = read_settings(ServiceSettings, {**GOOD, "DATABASE_PASSWORD_FILE": str(tmp_path / "password")})
    assert settings.database_password.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("name", ["DATABASE_URL", "AUTH_URL", "CLIENT_SECRET", "SERVICE"])
def test_a_missing_variable_is_named(capsys, name):
    message = refuse(capsys, CallerSettings, {key: value for key, value in GOOD.items() if key != name})
    assert f"{name} is missing" in message


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        (CallerSettings, "DATABASE_URL", "mysql://x/y"),
        (CallerSettings, "DATABASE_URL", "nonsense-with-secret"),
        (CallerSettings, "AUTH_URL", "auth:5000"),
        (CallerSettings, "SHOPFLEET_ENV", "staging"),
        (CallerSettings, "LOG_LEVEL", "loud"),
        (CallerSettings, "SERVICE", "../../etc"),
        (CatalogSettings, "CURRENCY", "dollars"),
        (CatalogSettings, "CATALOG_SYNC_SECONDS", "0"),
        (AuthSettings, "DEMO_USERS", "perhaps"),
    ],
)
def test_a_malformed_variable_is_named_without_its_value(capsys, model, name, value):
    message = refuse(capsys, model, {**GOOD, name: value})
    assert f"{name} is malformed" in message
    assert value not in message or name == "CATALOG_SYNC_SECONDS"


@pytest.mark.parametrize("address", [{}, {"PUBLIC_URL": "http://shop.example"}])
def test_production_requires_https(capsys, address):
    message = refuse(capsys, CallerSettings, {**GOOD, **address, "SHOPFLEET_ENV": "production"})
    assert "PUBLIC_URL is malformed: in production it must begin with https://" in message
    secure = {**GOOD, "SHOPFLEET_ENV": "production", "PUBLIC_URL": "https://shop.example"}
    assert read_settings(CallerSettings, secure).production


def test_all_errors_are_reported_at_once(capsys):
    message = refuse(capsys, CallerSettings, {})
    assert message.count("is missing") == 4


def test_an_unreadable_file_is_reported(capsys, tmp_path):
    message = refuse(capsys, ServiceSettings, {**GOOD, "DATABASE_PASSWORD_FILE": str(tmp_path / "nothing")})
    assert "DATABASE_PASSWORD_FILE" in message


def test_a_variable_and_its_file_exclude_each_other(capsys, tmp_path):
    message = refuse(capsys, ServiceSettings, {**GOOD, "DATABASE_URL_FILE": str(tmp_path)})
    assert "DATABASE_URL and DATABASE_URL_FILE" in message
