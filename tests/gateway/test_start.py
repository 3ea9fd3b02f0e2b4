"""The configuration is sound, and missing variables are named at start."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from local.gateway import PASSED_ON
from tests.gateway.conftest import Start
from tests.gateway.harness import GATEWAY, Gateway
from tools.certificate import make_certificate

pytestmark = pytest.mark.shop

SCRIPT = GATEWAY / "entrypoint/05-require-variables.sh"
TEMPLATE = GATEWAY / "templates/nginx.conf.template"
VARIABLES = sorted(set(re.findall(r"\$\{(GATEWAY_[A-Z_]+)\}", TEMPLATE.read_text())))


def _check_variables(values: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "NGINX_ENVSUBST_TEMPLATE_DIR": str(TEMPLATE.parent), **values}
    return subprocess.run([str(SCRIPT)], env=environment, capture_output=True, text=True, check=False)


def test_a_start_with_all_variables_succeeds() -> None:
    done = _check_variables(dict.fromkeys(VARIABLES, "a value; with $signs and 'quotes'"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_missing_or_empty_variables_stop_the_start_and_are_named() -> None:
    one = VARIABLES[-1]
    others = dict.fromkeys(VARIABLES[:-1], "set")
    for values, missing in [
        ({}, VARIABLES),
        (dict.fromkeys(VARIABLES, ""), VARIABLES),
        (others, [one]),
        ({**others, one: ""}, [one]),
    ]:
        done = _check_variables(values)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [f"Cannot start: {name} is missing." for name in missing]


def test_docker_compose_sets_every_variable_and_no_other() -> None:
    compose = (GATEWAY.parent / "docker-compose.yml").read_text()
    # The script that writes the settings reads the last one.
    expected = sorted([*VARIABLES, "GATEWAY_LISTEN"])
    assert sorted(re.findall(r"^ +(GATEWAY_[A-Z_]+):", compose, re.MULTILINE)) == expected


def test_every_setting_is_passed_on_by_both_stacks_and_documented() -> None:
    root = GATEWAY.parent
    script = (GATEWAY / "entrypoint/10-write-settings.sh").read_text()
    asked = re.findall(r"\$\{([A-Z_]+)|^ *limit ([A-Z_]+)|read_number ([A-Z]+_[A-Z]+)", script, re.MULTILINE)
    assert {"".join(names) for names in asked} == set(PASSED_ON)
    for name in PASSED_ON:
        assert f"      {name}: ${{{name}:" in (root / "docker-compose.yml").read_text(), name
        assert f"\n| `{name}` |" in (root / "docs/configuration.md").read_text(), name


def test_nginx_starts_without_warnings(start: Start) -> None:
    gateway = start()
    gateway.call("/healthz")
    assert not re.search(r"\[(warn|error|crit|alert|emerg)\]", gateway.log.read_text())


def test_gixy_finds_no_issues_with_all_features_enabled(start: Start, tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    for name, content in zip(("cert.pem", "key.pem"), make_certificate(), strict=True):
        (tmp_path / "tls" / name).write_bytes(content)
    gateway = start(
        TLS_CERTIFICATES=str(tmp_path / "tls"),
        TRUSTED_PROXIES="10.0.0.0/8",
        CORS_ORIGINS="https://app.example",
    )
    # Gixy warns about proxy_pass with a path, which is intended here (see the template), and about the disk
    # access of try_files.
    skipped = "proxy_pass_normalized,try_files_is_evil_too"
    command = [
        sys.executable,
        "-m",
        "gixy.cli",
        "--skips",
        skipped,
        str(gateway.log.parent / "state/nginx.conf"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "No issues found" in done.stdout, done.stdout + done.stderr
    assert not re.search(r"\[(warn|error|crit|alert|emerg)\]", gateway.log.read_text())
    assert done.returncode == 0


def test_all_proxy_headers_are_set_in_one_file_and_every_snippet_has_a_reason() -> None:
    files = [TEMPLATE, *GATEWAY.glob("snippets/*.conf")]
    setting = [
        file.name for file in files if re.search(r"^\s*proxy_set_header", file.read_text(), re.MULTILINE)
    ]
    assert setting == ["proxy.conf"]
    for file in GATEWAY.glob("snippets/*.conf"):
        assert file.read_text().startswith("# Why: "), file.name


def test_every_proxy_pass_sends_the_normalized_path() -> None:
    # A proxy_pass without a path would pass on the client's spelling of it, including dots.
    targets = re.findall(r"proxy_pass http://[a-z]+([^;]*);", TEMPLATE.read_text())
    assert len(targets) >= 15
    assert all(target.startswith("/") for target in targets)


def test_the_links_of_the_front_page_work(gateway: Gateway) -> None:
    page = Path(GATEWAY / "storefront/index.html").read_text()
    for link in re.findall(r'href="(/[^"]*)"', page):
        assert gateway.call(link).status == 200, link
