"""What Prometheus reads, and when it alerts: checked by its own tools, and by one that runs."""

import os
import re
import shutil
import subprocess
import threading

import pytest
import requests
import yaml
from werkzeug.serving import make_server

from catalog.app import create_app as create_catalog
from catalog.config import Settings as CatalogSettings
from local.settings import ROOT, SERVICES
from logs.app import create_app as create_logs
from logs.config import Settings as LogsSettings
from orders.app import create_app as create_orders
from orders.config import Settings as OrdersSettings
from payments.app import create_app as create_payments
from payments.config import Settings as PaymentsSettings
from tests.stacks import reserve_port
from tests.waiting import wait_for

FOLDER = ROOT / "monitoring"
NOWHERE = "http://127.0.0.1:9"


def run_tool(*words: str) -> None:
    done = subprocess.run([find("promtool"), *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def find(program: str) -> str:
    """Return where Debian's package `prometheus` has put a program; leave the test out where it is not."""
    found = shutil.which(program)
    if found is None:
        assert not os.environ.get("REQUIRE_PROMTOOL"), f"REQUIRE_PROMTOOL is set, and there is no {program}."
        pytest.skip(f"there is no {program} on this machine, so the alerts are left unchecked")
    return found


def read_rules():
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_configuration_and_the_rules_are_valid():
    run_tool("check", "config", "prometheus.yml")


def test_each_alert_is_silent_while_all_is_well_and_fires_when_it_should():
    run_tool("test", "rules", "alerts.test.yml")
    tested = (FOLDER / "alerts.test.yml").read_text()
    assert [rule["alert"] for rule in read_rules() if rule["alert"] not in tested] == []


def test_every_service_is_read_and_missed_when_it_is_gone():
    [job] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    [found_by] = job["dns_sd_configs"]
    assert set(found_by["names"]) == set(SERVICES)
    [down] = [rule for rule in read_rules() if rule["alert"] == "ServiceDown"]
    assert set(re.findall(r'service="([^"]+)"', down["expr"])) == set(SERVICES)


@pytest.fixture
def apps(make_database, auth, fake_server, tmp_path):
    """The services whose figures are in the rules."""

    def make_values(service, **more):
        return {
            "service": service,
            "database_url": make_database(service),
            "auth_url": NOWHERE,
            "client_secret": "secret",
            **more,
        }

    apps = {
        "catalog-service": create_catalog(
            CatalogSettings(**make_values("catalog-service", catalog_upstream_url=fake_server.url)), auth
        ),
        "orders-service": create_orders(
            OrdersSettings(**make_values("orders-service", catalog_url=NOWHERE, payments_url=NOWHERE)), auth
        ),
        "payments-service": create_payments(PaymentsSettings(**make_values("payments-service")), auth),
        "logs-service": create_logs(
            LogsSettings(**make_values("logs-service", records_from_gateway=tmp_path)), auth
        ),
    }
    yield apps
    for app in apps.values():
        app.close()


def test_what_the_rules_ask_for_is_what_the_services_tell(apps):
    exposition = "".join(app.test_client().get("/metrics").text for app in apps.values())
    names = set(re.findall(r"^# (?:HELP|TYPE) (\S+)", exposition, re.MULTILINE)) | {"up", "job"}
    # Counters and histograms are called by their samples; the age of a copy comes with the first copy.
    names |= {f"{name}{suffix}" for name in names for suffix in ("_count", "_bucket")}
    names |= {"catalog_source_age_seconds"}
    for rule in read_rules():
        expression = re.sub(r"\{[^}]*\}|\b(?:by|on) \([^)]*\)|\[[^]]*\]", "", rule["expr"])
        asked = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", expression)) - {"histogram_quantile"}
        assert asked <= names, rule["alert"]


# Not fast: Prometheus takes 5 s to look for its targets, and has no setting for that.
@pytest.mark.shop
def test_a_prometheus_that_runs_reads_a_service_and_evaluates_the_rules(apps, tmp_path):
    app = apps["orders-service"]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    [job] = config["scrape_configs"]
    # As DNS would have it.
    del job["dns_sd_configs"]
    labels = {"__meta_dns_name": "orders-service"}
    job["static_configs"] = [{"targets": [f"127.0.0.1:{server.server_port}"], "labels": labels}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = reserve_port()
    prometheus = subprocess.Popen(
        [
            find("prometheus"),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ask(path, **query):
        try:
            return requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", params=query, timeout=5).json()[
                "data"
            ]
        except requests.RequestException:
            return None

    try:
        wait_for(
            lambda: (ask("query", query='orders{status="paid", service="orders-service"}') or {}).get(
                "result"
            )
        )
        rules = wait_for(
            lambda: [
                rule
                for group in (ask("rules") or {"groups": []})["groups"]
                for rule in group["rules"]
                if rule["health"] == "ok"
            ]
        )
        assert {rule["name"] for rule in rules} <= {rule["alert"] for rule in read_rules()}
        [target] = ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
    finally:
        prometheus.terminate()
        prometheus.wait(20)
        server.shutdown()
        thread.join()
        server.server_close()
