"""The choice of the provider, and its settings."""

import pytest

from payments.app import create_app, create_events, create_orders, create_provider
from payments.clients.simulated import SimulatedProvider
from payments.config import Settings
from shared.background import Background
from shared.settings import read_settings

ENVIRONMENT = {
    "SERVICE": "payments-service",
    "DATABASE_URL": "postgresql://payments@127.0.0.1:9/payments",
    "AUTH_URL": "http://127.0.0.1:9",
    "CLIENT_SECRET": "secret",
}


def read(**environment: str) -> Settings:
    return read_settings(Settings, {**ENVIRONMENT, **environment})


def test_development_uses_the_simulated_provider(database):
    assert isinstance(create_provider(read(), database, Background()), SimulatedProvider)


def test_production_does_not_assume_the_simulated_provider(settings, auth, capsys):
    with pytest.raises(SystemExit):
        create_app(settings.model_copy(update={"shopfleet_env": "production"}), auth)
    assert "PAYMENT_PROVIDER is missing" in capsys.readouterr().err


def test_production_accepts_the_simulated_provider_by_name(database):
    named = read(SHOPFLEET_ENV="production", PUBLIC_URL="https://shop.example", PAYMENT_PROVIDER="simulated")
    assert isinstance(create_provider(named, database, Background()), SimulatedProvider)


def test_stripe_needs_its_key(database, capsys):
    with pytest.raises(SystemExit):
        create_provider(read(PAYMENT_PROVIDER="stripe"), database, Background())
    assert "STRIPE_SECRET_KEY is missing" in capsys.readouterr().err


def test_an_unknown_provider_stops_the_start(capsys):
    with pytest.raises(SystemExit):
        read(PAYMENT_PROVIDER="barter")
    assert "PAYMENT_PROVIDER is malformed" in capsys.readouterr().err


def test_stripes_secrets_are_read_from_files_and_hidden_in_repr(tmp_path, database):
    key, webhook = tmp_path / "key", tmp_path / "webhook"
    key.write_text("sk_live_1\n")
    webhook.write_text("whsec_new\nwhsec_old\n")
    settings = read(
        PAYMENT_PROVIDER="stripe", STRIPE_SECRET_KEY_FILE=str(key), STRIPE_WEBHOOK_SECRET_FILE=str(webhook)
    )
    assert create_provider(settings, database, Background()).name == "stripe"
    events = create_events(settings)
    assert events is not None
    assert list(events._secrets) == ["whsec_new", "whsec_old"]
    assert "sk_live_1" not in repr(settings)
    assert "whsec" not in repr(settings)


@pytest.mark.parametrize(
    "environment", [{}, {"PAYMENT_PROVIDER": "stripe"}, {"STRIPE_WEBHOOK_SECRET": "whsec_1"}]
)
def test_without_stripe_and_its_signing_secret_there_is_no_event_reader(environment):
    assert create_events(read(**environment)) is None


def test_orders_service_is_woken_only_with_its_url():
    assert create_orders(read()) is None
    client = create_orders(read(ORDERS_URL="http://orders"))
    assert client is not None
    assert client.base_url == "http://orders"
