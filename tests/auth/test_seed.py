"""The first users."""

from contextlib import closing

import pytest

from auth.config import Settings
from auth.passwords import Passwords
from auth.repository import users
from auth.seed import seed_users
from shared.database import connect
from tests.auth.conftest import PRODUCTION


@pytest.fixture
def database(settings):
    with closing(connect(settings)) as database:
        yield database


def with_changes(settings: Settings, **changes: object) -> Settings:
    return Settings(**{**settings.model_dump(), **changes})


def find(database, name):
    with database.transaction() as connection:
        return users.find_user_by_name(connection, name)


def test_in_development_the_tutorials_admin_is_there_and_stays_as_it_is(database, settings):
    assert seed_users(database, settings) is None
    first = find(database, "admin")
    assert seed_users(database, settings) is None
    assert find(database, "admin") == first
    assert first.role == "admin"


@pytest.mark.parametrize("changes", [{"bind": "0.0.0.0"}, PRODUCTION, {"demo_users": "no"}])
def test_elsewhere_the_admins_password_is_made_up_and_told_once(database, settings, changes):
    exposed = with_changes(settings, **changes)
    password = seed_users(database, exposed)
    assert len(password) >= 16
    assert Passwords().matches(find(database, "admin").password_hash, password)
    assert seed_users(database, exposed) is None


@pytest.mark.parametrize("changes", [{"bind": "0.0.0.0"}, PRODUCTION, {"demo_users": "no"}])
def test_a_shop_that_was_a_demo_is_published_without_the_password_everybody_knows(
    database, settings, changes
):
    seed_users(database, settings)
    exposed = with_changes(settings, **changes)
    password = seed_users(database, exposed)
    admin = find(database, "admin")
    assert not admin.disabled
    assert not Passwords().matches(admin.password_hash, "admin")
    assert Passwords().matches(admin.password_hash, password)
    assert seed_users(database, exposed) is None


def test_demo_users_can_be_asked_for_by_name(database, settings):
    assert seed_users(database, with_changes(settings, bind="0.0.0.0", demo_users="yes")) is None
    assert Passwords().matches(find(database, "admin").password_hash, "admin")


def test_whoever_is_loaded_on_ipv6_loopback_is_still_on_this_machine(settings):
    assert with_changes(settings, bind="[::1]").loads_demo_users
    assert not with_changes(settings, bind="::").loads_demo_users
