"""Every header and address costs nginx about as much processor time as others of the same size."""

import shutil
from pathlib import Path

import pytest

from tests.gateway.expressions import Expression, find_expressions, make_subjects, spell
from tests.gateway.harness import GATEWAY, SERVICES, Gateway, run_gateway, write_settings
from tests.gateway.meter import Meter
from tests.stacks import reserve_port
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

AWAY = dict.fromkeys(SERVICES, "127.0.0.1:9")
LONG = 7900  # The limit of a header is 8 KB.
# Multiples of the processor time of a plain request of that size. An expression that reads each character a
# few times stays below 10; a quadratic expression exceeds 100.
MOST = 30
TRIES = 3  # A request may be disturbed, and is then measured again.


def measure(gateway: Gateway, port: int) -> Meter:
    """Return a meter of the gateway's port."""
    file = gateway.log.parent / "state/nginx.pid"
    # nginx listens before it writes the file.
    wait_for(file.exists)
    return Meter(int(file.read_text()), port)


def make_config(folder: Path, expressions: list[Expression], port: int) -> Path:
    """Return a configuration that also matches X-Subject on a port, with one expression for each path."""
    home = folder / "home"
    shutil.copytree(GATEWAY, home)
    template = home / "templates/nginx.conf.template"
    # Quotes preserve the blanks around a subject.
    maps = """map $http_x_subject $subject { '~^"(?<quoted_subject>.*)"$' $quoted_subject; }"""
    maps += "\n".join(
        f"map $subject $found_{number} {{ {expression.key} 1; default 0; }}"
        for number, expression in enumerate(expressions)
    )
    locations = "\n".join(
        f"location = /{number} {{ add_header X-Found $found_{number} always; return 204; }}"
        for number in range(len(expressions))
    )
    server = f"server {{ listen 127.0.0.1:{port}; access_log off; {locations} }}"
    text = template.read_text().rstrip().removesuffix("}")
    template.write_text(f"{text}\n{maps}\n{server}\n}}\n")
    return home


def find_slow(nginx: str, folder: Path, expressions: list[Expression]) -> dict[str, str]:
    """Return the expressions that take more than linear time, with their subjects."""
    port = reserve_port()
    home = make_config(folder, expressions, port)
    slow = {}
    with run_gateway(nginx, folder / "gateway", AWAY, home) as gateway, measure(gateway, port) as meter:
        most = MOST * meter.cost("/none", {"X-Subject": "-" * LONG}, calls=200)
        for number, expression in enumerate(expressions):
            for subject in sorted(make_subjects(expression, LONG)):
                headers = {"X-Subject": f'"{subject}"'}
                if all(meter.cost(f"/{number}", headers) > most for _ in range(TRIES)):
                    slow[f"{expression.file}: {expression.text}"] = f"{subject[:40]}…{subject[-10:]}"
                    break
    return slow


def test_every_expression_of_the_gateway_takes_linear_time(nginx: str, tmp_path: Path) -> None:
    values = {"TRUSTED_PROXIES": "10.0.0.0/8", "CORS_ORIGINS": "https://app.example", "ALLOWED_HOSTS": "*"}
    assert write_settings(GATEWAY, tmp_path / "state", values).returncode == 0
    files = [GATEWAY / "templates/nginx.conf.template", *GATEWAY.glob("snippets/*.conf")]
    expressions = find_expressions([*files, *tmp_path.glob("state/settings/*.conf")])
    # One expression of each kind is found: of a map, a rewrite, and the settings.
    assert {"^application/x-protobuf", "^/healthz/", "."} <= {each.text for each in expressions}
    assert find_slow(nginx, tmp_path, expressions) == {}


SLOW = [
    r"[?&]([a-z_]+)=.*&\1=",
    r"^(?<before>[^?#]*?)([0-9]{13,}|eyJ[A-Za-z0-9_-]{8,}\.|sf[rc]_[A-Za-z0-9_-]{16,})",
    r"^(?:[^;]*;)*?\s*token=(?<value>[^;]*?)\s*(?:;|$)",
    r"\s+$",
    r"^(?:a+)+$",
    r"[0-9]+-",
]


def test_the_measurement_finds_expressions_that_take_more_than_linear_time(
    nginx: str, tmp_path: Path
) -> None:
    expressions = [Expression("", text, ignores_case=False) for text in SLOW]
    found = find_slow(nginx, tmp_path, expressions)
    assert [text for text in SLOW if f": {text}" not in found] == []


ARGUMENTS = "".join(f"{spell(number)}=&" for number in range(LONG // 5))
CALLS = {
    "arguments of a product": f"/products/1?{ARGUMENTS}",
    "arguments of a list": f"/products?{ARGUMENTS}",
    "one argument": "/products/1?" + "a=&" * (LONG // 3),
    "a beginning of a token": "/x/" + "eyJ" * (LONG // 3),
}


def test_no_request_costs_much_more_than_others_of_its_size(nginx: str, tmp_path: Path) -> None:
    with run_gateway(nginx, tmp_path / "gateway", AWAY) as gateway, measure(gateway, gateway.port) as meter:
        plain = meter.cost("/products/1?" + "-" * LONG, calls=100)
        costs = {name: min(meter.cost(path, calls=10) for _ in range(TRIES)) for name, path in CALLS.items()}
    assert {name: cost / plain for name, cost in costs.items() if cost > 3 * plain} == {}
