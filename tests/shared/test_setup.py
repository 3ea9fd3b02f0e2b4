"""The setup steps: secrets, databases, migrations. Each can run again at every start."""

import json
import threading
from contextlib import closing

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.base import ischema_names

from auth import tables as auth_tables
from catalog import tables as catalog_tables
from logs import tables as logs_tables
from orders import tables as orders_tables
from payments import tables as payments_tables
from shared.database import connect
from shared.errors import DatabaseUnavailable
from shared.migrate import upgrade, wait_until_reached
from shared.service import migrations_of
from shared.settings import ServiceSettings
from shared.setup_database import setup_database
from shared.setup_secrets import hash_secret, setup_secrets

SERVICES = ["auth-service", "catalog-service", "orders-service"]


def read_all(root) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


def test_each_reader_gets_only_its_own_secrets(tmp_path):
    setup_secrets(tmp_path, SERVICES)
    assert set(read_all(tmp_path)) == {
        "postgres/superuser-password",
        "database/superuser-password",
        "database/auth-service-password",
        "database/catalog-service-password",
        "database/orders-service-password",
        "auth-service/database-password",
        "auth-service/clients.json",
        "catalog-service/database-password",
        "catalog-service/client-secret",
        "orders-service/database-password",
        "orders-service/client-secret",
    }


def test_the_authority_gets_only_hashes_of_the_clients_secrets(tmp_path):
    setup_secrets(tmp_path, SERVICES)
    hashes = json.loads((tmp_path / "auth-service/clients.json").read_text())
    secret = (tmp_path / "orders-service/client-secret").read_text().strip()
    assert hashes["orders-service"] == hash_secret(secret)
    assert secret not in (tmp_path / "auth-service/clients.json").read_text()


def test_only_shared_secrets_are_equal(tmp_path):
    setup_secrets(tmp_path, SERVICES)
    contents = read_all(tmp_path)
    assert contents["postgres/superuser-password"] == contents["database/superuser-password"]
    assert len(set(contents.values())) == 1 + 3 + 2 + 1


def test_existing_secrets_are_kept_and_missing_ones_are_created(tmp_path):
    setup_secrets(tmp_path, SERVICES)
    before = read_all(tmp_path)
    setup_secrets(tmp_path, SERVICES)
    assert read_all(tmp_path) == before
    (tmp_path / "auth-service/clients.json").unlink()
    (tmp_path / "database/orders-service-password").unlink()
    setup_secrets(tmp_path, SERVICES)
    assert read_all(tmp_path) == before


def test_a_lost_secret_is_replaced_for_both_readers(tmp_path):
    setup_secrets(tmp_path, SERVICES)
    (tmp_path / "orders-service/client-secret").unlink()
    setup_secrets(tmp_path, SERVICES)
    secret = (tmp_path / "orders-service/client-secret").read_text().strip()
    assert json.loads((tmp_path / "auth-service/clients.json").read_text())["orders-service"] == hash_secret(
        secret
    )


@pytest.fixture
def secrets(tmp_path, postgres):
    setup_secrets(tmp_path, SERVICES)
    file = tmp_path / "database/superuser-password"
    file.unlink()
    file.write_text(postgres.superuser_password)
    yield tmp_path / "database"
    with psycopg.connect(postgres.url(), autocommit=True) as server:
        for name in ("auth", "catalog", "orders"):
            server.execute(f"DROP DATABASE IF EXISTS {name}")
            server.execute(f"DROP ROLE IF EXISTS {name}")


def url_of(postgres, name: str, secrets) -> str:
    return postgres.url(name, name, (secrets / f"{name}-service-password").read_text().strip())


def test_each_service_can_only_connect_to_its_own_database(postgres, secrets):
    setup_database(postgres.url(password=""), secrets, SERVICES)
    with psycopg.connect(url_of(postgres, "orders", secrets)) as own:
        own.execute("CREATE TABLE things (id int)")
    password = (secrets / "orders-service-password").read_text().strip()
    for other in ("auth", "catalog", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(postgres.url("orders", other, password))


def test_the_step_can_run_again_and_a_new_password_takes_effect(postgres, secrets):
    setup_database(postgres.url(password=""), secrets, SERVICES)
    (secrets / "orders-service-password").unlink()
    (secrets / "orders-service-password").write_text("another")
    setup_database(postgres.url(password=""), secrets, SERVICES)
    psycopg.connect(url_of(postgres, "orders", secrets)).close()


def test_the_collation_is_the_same_on_every_machine(postgres, secrets):
    setup_database(postgres.url(password=""), secrets, SERVICES)
    with psycopg.connect(url_of(postgres, "catalog", secrets)) as own:
        rows = own.execute(
            "SELECT name FROM unnest(ARRAY['b', 'ä', 'a', 'B']) AS name ORDER BY name"
        ).fetchall()
        assert [name for (name,) in rows] == ["B", "a", "b", "ä"]
        assert own.execute("SELECT upper('ä')").fetchone() == ("Ä",)


def test_the_database_ends_a_statement_that_takes_too_long(postgres, secrets):
    setup_database(postgres.url(password=""), secrets, SERVICES)
    with psycopg.connect(url_of(postgres, "catalog", secrets)) as own:
        assert own.execute("SHOW statement_timeout").fetchone() == ("15s",)


def test_a_wrong_superuser_password_is_reported(postgres, secrets):
    (secrets / "superuser-password").write_text("wrong")
    with pytest.raises(SystemExit, match="does not match the database"):
        setup_database(postgres.url(password=""), secrets, SERVICES)


def open_database(service: str, url: str):
    return closing(connect(ServiceSettings(service=service, database_url=url)))


METADATA = {
    "logs-service": logs_tables.metadata,
    "orders-service": orders_tables.metadata,
    "auth-service": auth_tables.metadata,
    "catalog-service": catalog_tables.metadata,
    "payments-service": payments_tables.metadata,
}


@pytest.mark.parametrize("service", METADATA)
def test_the_tables_in_the_code_match_the_migrations(make_database, monkeypatch, service):
    # SQLAlchemy does not know the type.
    monkeypatch.setitem(ischema_names, "xid8", orders_tables.TransactionId)
    with open_database(service, make_database(service)) as database, database.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA[service]) == []


def test_concurrent_migrations_run_one_after_the_other(make_empty_database):
    failures = []

    def migrate(database):
        try:
            upgrade(database, migrations_of("catalog-service"))
        except Exception as error:
            failures.append(error)

    with open_database("catalog-service", make_empty_database()) as database:
        threads = [threading.Thread(target=migrate, args=[database]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        with database.transaction() as connection:
            assert connection.execute(text("SELECT count(*) FROM source_copy")).scalar() == 1


def test_a_migration_waits_for_a_database_that_does_not_exist_yet(postgres):
    def create():
        with psycopg.connect(postgres.url(), autocommit=True) as server:
            server.execute("CREATE DATABASE comes_late")

    coming = threading.Timer(0.5, create)
    with open_database("catalog-service", postgres.url(database="comes_late")) as database:
        with pytest.raises(DatabaseUnavailable):
            wait_until_reached(database, 0.0)
        coming.start()
        wait_until_reached(database)
        coming.join()
