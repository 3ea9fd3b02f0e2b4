"""Metrics, and how often they query the database."""

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared import metrics as module
from shared.errors import DatabaseUnavailable
from shared.metrics import Figure, Metrics


def read_metrics(text: str) -> dict[tuple[str, frozenset], float]:
    """Return every sample by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def read(client):
    """Read one of the small service's metrics; None if it does not exist."""

    def read(name, **labels):
        return read_metrics(client.get("/metrics").text).get((name, frozenset(labels.items())))

    return read


def test_an_invented_method_is_counted_as_other(client, read):
    for method in ("BREW", "WHISK"):
        client.open("/open", method=method)
    labels = {"http_route": "unrouted", "http_response_status_code": "405"}
    assert read("http_server_request_duration_seconds_count", http_request_method="_OTHER", **labels) == 2


def test_the_pool_reports_used_and_idle_connections(app, read):
    assert read("db_client_connection_max") == 8
    with app.database.transaction():
        assert read("db_client_connection_count", state="used") == 1
    assert read("db_client_connection_count", state="used") == 0
    assert read("db_client_connection_count", state="idle") >= 1


def test_the_database_reports_its_size_connections_and_oldest_transaction(app, read, monkeypatch):
    with app.database.transaction() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.2)")
        assert read("postgresql_oldest_transaction_seconds") >= 0.2
    assert read("postgresql_db_size_bytes") > 1_000_000
    assert read("postgresql_backends", state="active") >= 1


def test_each_service_reports_its_background_tasks(app, read):
    ran = threading.Event()

    def fail_once():
        if not ran.is_set():
            ran.set()
            raise RuntimeError("once")
        app.background.stopping.wait(20)

    app.background.repeat(fail_once, every=0, name="a task")
    assert ran.wait(20)
    while not (failed := read("background_task_rounds_total", task="a task", outcome="failure")):
        pass
    assert failed == 1
    assert read("background_task_last_success_timestamp_seconds", task="refresh-sign-offs") > 1e9


def test_figures_are_read_at_most_every_ten_seconds(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    metrics, asked = Metrics(), []

    def read():
        asked.append(1)
        return [Figure("things", "Things.", ("kind",), {("a",): len(asked)})]

    metrics.ask(read)
    assert asked == []
    texts = [metrics.render().decode() for _ in range(3)]
    assert len(asked) == 1
    assert all('things{kind="a"} 1.0' in text for text in texts)
    now[0] += 10
    assert 'things{kind="a"} 2.0' in metrics.render().decode()


@pytest.mark.parametrize("error", [DatabaseUnavailable(), RuntimeError()])
def test_a_failed_read_only_omits_its_own_figures(error):
    metrics, asked = Metrics(), []

    def read():
        asked.append(1)
        raise error

    metrics.ask(read)
    metrics.ask(lambda: [Figure("things", "Things.", (), {(): 1})])
    for _ in range(2):
        assert "things 1.0" in metrics.render().decode()
    assert len(asked) == 1
