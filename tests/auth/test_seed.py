"""The first users."""

import pytest

from auth.commands.seed import seed_users
from auth.config import Settings
from auth.passwords import Passwords
from auth.repository import users
from tests.auth.conftest import PRODUCTION, make_settings


@pytest.fixture
def settings(standing_start):
    standing, _ = standing_start
    standing.restore()
    return make_settings(standing.url)


@pytest.fixture
def database(standing_start, settings):
    return standing_start[1]


def with_changes(settings: Settings, **changes: object) -> Settings:
    return Settings(**{**settings.model_dump(), **changes})


def find(database, name):
    with database.transaction() as connection:
        return users.find_user_by_name(connection, name)


def test_in_development_the_tutorials_admin_is_created_once(database, settings):
    assert seed_users(database, settings) is None
    first = find(database, "admin")
    assert seed_users(database, settings) is None
    assert find(database, "admin") == first
    assert first.role == "admin"
    assert Passwords().matches(first.password_hash, "admin")


@pytest.mark.parametrize("changes", [{"bind": "0.0.0.0"}, PRODUCTION, {"demo_users": "no"}])
def test_outside_development_the_admins_password_is_generated_and_returned_once(
    database, settings, passwords, changes
):
    exposed = with_changes(settings, **changes)
    password = seed_users(database, exposed, passwords)
    assert len(password) >= 16
    assert passwords.matches(find(database, "admin").password_hash, password)
    assert seed_users(database, exposed, passwords) is None


@pytest.mark.parametrize("changes", [{"bind": "0.0.0.0"}, PRODUCTION, {"demo_users": "no"}])
def test_an_exposed_demo_shop_loses_the_published_password(database, settings, passwords, changes):
    seed_users(database, settings, passwords)
    exposed = with_changes(settings, **changes)
    password = seed_users(database, exposed, passwords)
    admin = find(database, "admin")
    assert not admin.disabled
    assert not passwords.matches(admin.password_hash, "admin")
    assert passwords.matches(admin.password_hash, password)
    assert seed_users(database, exposed, passwords) is None


def test_demo_users_can_be_requested_explicitly(database, settings, passwords):
    requested = with_changes(settings, bind="0.0.0.0", demo_users="yes")
    assert seed_users(database, requested, passwords) is None
    assert passwords.matches(find(database, "admin").password_hash, "admin")


def test_the_ipv6_loopback_address_counts_as_local(settings):
    assert with_changes(settings, bind="[::1]").loads_demo_users
    assert not with_changes(settings, bind="::").loads_demo_users
