"""The gateway without Docker: the choice of nginx, and the templates."""

import subprocess
from pathlib import Path

import pytest

from local import gateway
from local.errors import CannotStart
from local.settings import ROOT, SERVICES


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.30.4", True),
        ("1.30.3", False),
        ("1.29.9", False),
        ("1.31.2", False),
        ("1.31.3", True),
        ("1.32.0", True),
        ("1.33.0", True),
        ("2.0.0", True),
        ("1.9.15", False),
    ],
)
def test_only_an_nginx_without_known_vulnerabilities_is_used(version: str, expected: bool) -> None:
    assert gateway.is_new_enough(f"nginx version: nginx/{version} (Debian)\n") is expected


@pytest.mark.parametrize(
    "text", ["", "freenginx version: freenginx/1.31.5", "nginx version: openresty/1.31.5"]
)
def test_another_program_is_not_mistaken_for_nginx(text: str) -> None:
    assert not gateway.is_new_enough(text)


@pytest.mark.parametrize(("version", "taken"), [("1.30.4", True), ("1.22.1", False)])
def test_the_nginx_on_path_is_preferred_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, taken: bool
) -> None:
    fake = tmp_path / "nginx"
    fake.write_text(f"#!/bin/sh\necho 'nginx version: nginx/{version}' >&2\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    found = gateway.find_nginx()

    assert (found == str(fake)) is taken
    assert gateway.is_new_enough(gateway.read_version(found))


def test_a_template_keeps_the_variables_of_nginx(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "nginx.conf.template").write_text("listen ${GATEWAY_LISTEN}; set $host ${host}; $GATEWAY_X")

    gateway.render(templates, tmp_path, {"GATEWAY_LISTEN": "127.0.0.1:1"})

    assert (tmp_path / "nginx.conf").read_text() == "listen 127.0.0.1:1; set $host ${host}; $GATEWAY_X"


def test_an_unset_variable_stops_the_start_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf.template").write_text("resolver ${GATEWAY_RESOLVER};")

    with pytest.raises(CannotStart, match=r"nginx\.conf\.template uses GATEWAY_RESOLVER"):
        gateway.render(tmp_path, tmp_path / "out", {})


def test_nginx_accepts_templates_in_a_path_with_spaces(tmp_path: Path) -> None:
    out = tmp_path / "a folder; of {a user}'s"
    out.mkdir()
    packages = [service.removesuffix("-service").upper() for service in SERVICES]
    variables = {
        "GATEWAY_RESOLVER": "127.0.0.1",
        "GATEWAY_HOME": str(ROOT / "gateway"),
        "GATEWAY_STATE": str(out),
        "GATEWAY_RECORDS": str(out),
        **{f"GATEWAY_{package}_SERVERS": "server 127.0.0.1:9;" for package in [*packages, "VERDICT"]},
    }
    gateway.render(ROOT / "gateway" / "templates", out, variables)
    job = gateway.settings(ROOT / "gateway", out, "127.0.0.1:65535", {})
    subprocess.run(job.command, env=job.environment, check=True)

    checked = subprocess.run(
        gateway.check(gateway.find_nginx(), out).command, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
