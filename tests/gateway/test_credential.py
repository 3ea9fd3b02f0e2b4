"""The gateway and the services read the same token from every request."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.harness import GATEWAY, SERVICES, Gateway, run_gateway
from tests.stacks import reserve_port
from tests.waiting import wait_for

pytestmark = pytest.mark.shop

ROOT = GATEWAY.parent
# The headers that a client sends, and the token that counts in development and in production.
SENT: list[tuple[list[str], str, str]] = [
    ([], "", ""),
    (["Cookie: token=mine"], "mine", ""),
    (["Cookie: __Host-token=mine"], "", "mine"),
    (["Cookie: token=mine; __Host-token=other"], "mine", "other"),
    (["Cookie: __Host-token=other; token=mine"], "mine", "other"),
    (["Cookie: token=mine; token=other"], "mine", ""),
    (["Cookie: token =mine; token=other"], "mine", ""),
    (["Cookie: token= mine ; token=other"], "mine", ""),
    (["Cookie: \ttoken\t=\tmine\t;token=other"], "mine", ""),
    (["Cookie:   __Host-token =mine; __Host-token=other"], "", "mine"),
    (["Cookie: token=mine", "Cookie: token=other"], "mine", ""),
    (["Cookie: a=b", "Cookie: token=mine"], "mine", ""),
    (["Cookie: a=b, token=mine"], "", ""),
    (["Cookie: a=b,token=other; token=mine"], "mine", ""),
    (['Cookie: token="mine"; token=other'], "other", ""),
    (['Cookie: token="mine"'], "", ""),
    (['Cookie: a="; token=mine; b="'], "mine", ""),
    (['Cookie: a="\\"; token=mine'], "mine", ""),
    (["Cookie: Token=other; TOKEN=other; token=mine"], "mine", ""),
    (["Cookie: Token=mine"], "", ""),
    (["Cookie: __host-token=mine; __HOST-TOKEN=mine"], "", ""),
    (["Cookie: my__Host-token=other; xtoken=other; token=mine"], "mine", ""),
    (["Cookie: =token=other; token=mine"], "mine", ""),
    (["Cookie: token; token=mine"], "mine", ""),
    (["Cookie: token=; token=mine"], "mine", ""),
    (["Cookie: token==mine"], "=mine", ""),
    (["Cookie: ;;; ; token=mine;"], "mine", ""),
    (["Cookie: token=mine\xe4; token=other"], "other", ""),
    (["Cookie: token=\xa0mine"], "", ""),
    (["Cookie: \xa0token=mine"], "", ""),
    (["Cookie: token=mine\x0b; token=other"], "other", ""),
    (["Cookie: token=my token; token=other"], "other", ""),
    (["Cookie: token=" + "x" * 4096], "x" * 4096, ""),
    (["Cookie: token=" + "x" * 4097], "", ""),
    (["cookie: token=mine", "COOKIE: token=other"], "mine", ""),
    (["Authorization: Bearer mine"], "mine", "mine"),
    (["Authorization: bEARER   mine"], "mine", "mine"),
    (["Authorization: \tBearer mine\t", "Cookie: token=other; __Host-token=other"], "mine", "mine"),
    (["Authorization: Bearer \t mine \t", "Cookie: token=other; __Host-token=other"], "mine", "mine"),
    (["Authorization: Bearer\tother", "Cookie: token=mine"], "mine", ""),
    (["Authorization: Bearer", "Cookie: token=mine"], "mine", ""),
    (["Authorization: Bearer ", "Cookie: token=mine"], "mine", ""),
    (["Authorization: Bearer \t", "Cookie: token=mine"], "mine", ""),
    (["Authorization: Bearer \xa0", "Cookie: token=other"], "\xa0", "\xa0"),
    (["Authorization: Bearer \x85", "Cookie: token=other"], "\x85", "\x85"),
    (["Authorization: \xa0Bearer other", "Cookie: token=mine"], "mine", ""),
    (["Authorization: Basic YTpi", "Cookie: token=mine"], "mine", ""),
    (["Authorization: Bearer mine, Bearer other", "Cookie: token=other"], *["mine, Bearer other"] * 2),
    (["Authorization: xBearer other", "Cookie: token=mine"], "mine", ""),
    (["Authorization:", "Cookie: token=mine"], "mine", ""),
    (["Authorization_: Bearer other", "Cookie: token=mine"], "mine", ""),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a configuration with which the gateway returns the token it reads."""
    home = tmp_path_factory.mktemp("telling") / "home"
    shutil.copytree(GATEWAY, home)
    snippet = home / "snippets/credential.conf"
    snippet.write_text(f"{snippet.read_text()}\nadd_header X-Credential $credential always;\n")
    return home


@pytest.fixture(scope="module")
def reader() -> Iterator[str]:
    """Return the address of a service under gunicorn that returns the token it reads."""
    address = f"127.0.0.1:{reserve_port()}"
    command = [sys.executable, "-m", "gunicorn", "--bind", address, "tests.gateway.reader:read"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        wait_for(lambda: "Booting worker" in process.stderr.readline())  # type: ignore[union-attr]
        yield address
        process.terminate()


@pytest.mark.parametrize("environment", ["development", "production"])
def test_gateway_and_services_read_the_same_token(
    nginx: str, home: Path, reader: str, tmp_path: Path, environment: str
) -> None:
    wrong = []
    servers = dict.fromkeys(SERVICES, reader)
    with run_gateway(nginx, tmp_path / "gateway", servers, home, SHOPFLEET_ENV=environment) as gateway:
        for lines, *expected in SENT:
            tokens = read_both(gateway, environment, lines)
            if set(tokens) != {expected[environment == "production"]}:
                wrong.append((lines, tokens))
    assert wrong == []


def read_both(gateway: Gateway, environment: str, lines: list[str]) -> tuple[str, str]:
    """Return the tokens that the gateway and a service behind it read."""
    head = [f"GET /auth/{environment} HTTP/1.1", "Host: localhost", *lines, "Connection: close"]
    answer = gateway.send("\r\n".join([*head, "", ""]))
    assert answer.status == 200, lines
    body = json.loads(answer.body)
    assert set(body["cookies"]) <= {"token", "__Host-token"}
    credential = answer.headers.get("x-credential", "")
    return credential.partition("=" if credential.startswith(("token=", "__Host-token=")) else " ")[2], body[
        "token"
    ]
