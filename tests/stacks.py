"""One interface to the two stacks, so that a scenario can run on both."""

import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
import requests

from local import postgres
from local.sockets import port_of, reserve
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS, STOP_SECONDS = 270, 180  # Generous, for busy machines.
SERVICES = ["auth-service", "catalog-service", "orders-service", "payments-service", "logs-service"]


class Stack(Protocol):
    """A running shop."""

    url: str
    strikes: tuple[str, ...]

    def kill(self, part: str) -> None:
        """Kill a part's main process with SIGKILL; `part` is a service, `gateway` or `postgres`."""

    def pause(self, part: str) -> None:
        """Suspend a part: its connections stay open, but it does not respond."""

    def resume(self, part: str) -> None:
        """Resume a paused part."""

    def restart(self) -> None:
        """Stop the stack, and start it again with the same data."""

    def command(self, service: str, module: str, *words: str) -> str:
        """Run a service's command in its environment; return its output."""

    def list_replicas(self) -> list[str]:
        """Return the names of all service replicas, the gateway and the database server."""

    def strike(self, replica: str, how: str) -> None:
        """Inject a fault, one of `strikes`, into a replica, without waiting for the effect."""

    def heal(self, replica: str) -> None:
        """Undo the lasting effects of a strike."""

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Audit the books, as `make audit` does."""

    def roll(self, service: str) -> None:
        """Replace a service's replicas one at a time, as `make roll` does."""

    def reload_gateway(self) -> None:
        """Make the gateway reload its configuration."""


def find_free_port() -> int:
    """Return an unused port, for Docker, whose programs may not share the port with a reservation."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


_reserved: list[socket.socket] = []


def reserve_port() -> int:
    """Return a port that no other program gets while this process runs, for a program that opens it itself.

    It is reserved on every address. A reservation of 127.0.0.1 alone leaves the port to a program on
    127.0.0.2, and then a service cannot listen on all addresses.
    """
    _reserved.append(reserve("0.0.0.0"))
    return port_of(_reserved[-1])


def find_processes(folder: Path) -> list[str]:
    """Return all processes with the folder in their command line, environment or working directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            traces = process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
            if str(folder).encode() in traces or process.joinpath("cwd").readlink().is_relative_to(folder):
                found.append(f"{process.name} {process.joinpath('comm').read_text().strip()}")
    return found


class ProcessStack:
    """The stack of `make run`, with its own port and state."""

    strikes = ("kill", "pause", "restart")

    def __init__(self, state: Path, *, module: str = "local", home: Path = ROOT, **environment: str) -> None:
        self.home = home
        self.port = reserve_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = state
        self._module = module
        self.log = state.parent / f"{state.name}.out"
        self._environment = environment

    def start(self) -> None:
        """Start the stack as `make run` does, and wait until it is ready."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.process: subprocess.Popen[bytes] | psutil.Process
        with self.log.open("ab") as log:
            self.process = process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                cwd=self.home,
                env={**inherited, "PORT": str(self.port), "STATE": str(self.state), **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: self._is_ready() or process.poll() is not None, seconds=START_SECONDS)
        assert self._is_ready(), f"The stack did not start:\n{self.output()}"

    def _is_ready(self) -> bool:
        try:
            description = self.describe()
        except (OSError, ValueError):
            return False
        return description["ready"] and description["supervisor"]["pid"] == self.process.pid

    def describe(self) -> dict[str, Any]:
        """Return the stack's description of itself: ports and process ids."""
        return json.loads((self.state / "run" / "stack.json").read_text())

    def output(self) -> str:
        """Return the stack's terminal output."""
        return self.log.read_text()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Stop the stack with a signal; return its exit code."""
        self.process.send_signal(how)
        return self.process.wait(timeout=STOP_SECONDS)

    def attach(self, port: int, pid: int) -> None:
        """Attach to the stack that another worker has started."""
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.process = psutil.Process(pid)

    def restart(self) -> None:
        """Stop the stack and start it again."""
        self.stop()
        self.start()

    def command(self, service: str, module: str, *words: str) -> str:
        """Run a service's command with the environment of its first process."""
        done = subprocess.run(
            [sys.executable, "-m", "local.command", service, module, *words],
            cwd=ROOT,
            env={**os.environ, "STATE": str(self.state)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def find_pid(self, part: str) -> int | None:
        """Return the process id of a part, a replica, or a service's first replica; None while it is down."""
        description = self.describe()
        services = description["services"]
        if part in services:
            return services[part]["replicas"][0]["pid"]
        replicas = [replica for service in services.values() for replica in service["replicas"]]
        return next((each for each in replicas if each["instance"] == part), description.get(part, {}))["pid"]

    def list_replicas(self) -> list[str]:
        """Return the names of all service replicas, the gateway and the database server."""
        services = self.describe()["services"].values()
        instances = [replica["instance"] for service in services for replica in service["replicas"]]
        return [*instances, "gateway", "postgres"]

    def strike(self, replica: str, how: str) -> None:
        """Inject a fault, one of `strikes`, into a replica, unless it is down."""
        with suppress(psutil.NoSuchProcess):
            if how == "pause":
                self.pause(replica)
            else:
                leader, *_rest = self._processes_of(replica)
                # On SIGTERM, PostgreSQL would wait for its clients to disconnect and accept no others.
                end = postgres.STOP_SIGNAL if replica.startswith("postgres") else signal.SIGTERM
                leader.send_signal(signal.SIGKILL if how == "kill" else end)

    def heal(self, replica: str) -> None:
        """Resume a paused replica; the supervisor restarts stopped ones."""
        with suppress(psutil.NoSuchProcess):
            self.resume(replica)

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Audit the books, as `make audit` does."""
        # The first release has it in `local`.
        module = "tools.books" if (self.home / "tools").is_dir() else "local.audit"
        return subprocess.run(
            [sys.executable, "-m", module],
            cwd=self.home,
            env={"STATE": str(self.state), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )

    def kill(self, part: str) -> None:
        """Kill a part's leading process; wait until the supervisor has restarted it."""
        wait_for(lambda: self.find_pid(part))
        leader, *_rest = self._processes_of(part)
        leader.kill()
        wait_for(lambda: self.find_pid(part) not in {leader.pid, None})

    def pause(self, part: str) -> None:
        """Suspend all of a part's processes."""
        for process in self._processes_of(part):
            process.suspend()

    def resume(self, part: str) -> None:
        """Resume a paused part."""
        for process in self._processes_of(part):
            process.resume()

    def roll(self, service: str) -> None:
        """Replace a service's replicas one at a time, as `make roll` does."""
        _roll(service, {**os.environ, "STATE": str(self.state)})

    def reload_gateway(self) -> None:
        """Make the gateway reload its configuration."""
        leader, *_rest = self._processes_of("gateway")
        leader.send_signal(signal.SIGHUP)

    def _processes_of(self, part: str) -> list[psutil.Process]:
        pid = self.find_pid(part)
        if pid is None:
            # psutil.Process(None) would be this process.
            raise psutil.NoSuchProcess(0, part)
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]


_outliving: list[object] = []


def share_stack(state: Path) -> ProcessStack:
    """Return the stack with this state; the first caller starts it."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # All requests are from one address, and exceed the limits of an address. Receivers of webhooks are on
        # this machine.
        stack = ProcessStack(state, SCALE="catalog-service=2", RATE_LIMITS="off", WEBHOOK_PRIVATE="yes")
        started = state.with_suffix(".json")
        if started.exists():
            stack.attach(**json.loads(started.read_text()))
        else:
            stack.start()
            # The stack outlives this worker, so its handle must not be garbage-collected.
            _outliving.append(stack.process)
            started.write_text(json.dumps({"port": stack.port, "pid": stack.process.pid}))
    return stack


def stop_shared_stack(state: Path) -> None:
    """Stop the shared stack, if it was started."""
    started = state.with_suffix(".json")
    if started.exists():
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(json.loads(started.read_text())["pid"])
            supervisor.terminate()
            supervisor.wait(timeout=STOP_SECONDS)
        started.unlink(missing_ok=True)


def stop_and_leave_no_process(stack: ProcessStack) -> None:
    """Stop a stack with SIGTERM; it ends well, and all of its processes end with it."""
    assert find_processes(stack.state)
    assert stack.stop() == 0
    wait_for(lambda: not find_processes(stack.state))


class ComposeStack:
    """The stack of `docker compose up`, as a separate project."""

    strikes = ("kill", "end", "pause", "restart", "disconnect")

    def __init__(self, **environment: str) -> None:
        self._environment = environment
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.project = f"shopfleet-test-{secrets.token_hex(3)}"

    def compose(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` on this project, with further variables."""
        return subprocess.run(
            ["docker", "compose", "--project-name", self.project, *arguments],
            cwd=ROOT,
            env={**os.environ, "PORT": str(self.port), **self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=check,
            timeout=900,
        )

    def up(self, *options: str) -> None:
        """Start the containers, and wait until all are healthy."""
        done = self.compose("up", "--detach", "--wait", "--no-build", *options, check=False)
        assert done.returncode == 0, (
            f"{done.stdout}\n{done.stderr}\n{self.compose('logs', '--tail', '20').stdout}"
        )

    def start(self) -> None:
        """Build the images and start the containers.

        Compose writes the project name into an image. If each stack built with its own project name, it would
        replace the images, and the next `up` of a running stack would replace all its containers.
        """
        built = subprocess.run(
            ["docker", "compose", "build"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr
        self.up()

    def stop(self) -> None:
        """Remove the containers and volumes."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def restart(self) -> None:
        """Remove the containers, and start new ones with the same volumes."""
        self.compose("down", "--timeout", "10")
        self.up()

    def command(self, service: str, module: str, *words: str) -> str:
        """Run a service's command in its container."""
        return self.compose("exec", "--no-TTY", service, "python", "-m", module, *words).stdout

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        return self.compose("ps", "--quiet", service).stdout.split()

    def inspect(self, container: str) -> dict[str, Any]:
        """Return the engine's description of a container."""
        return json.loads(docker("inspect", container))[0]

    def kill(self, part: str) -> None:
        """Kill all processes in a part's container, so that its init exits; wait for the restart."""
        [container] = self.containers(part)
        before = self.inspect(container)["State"]["StartedAt"]
        self.compose("exec", "--no-TTY", part, "sh", "-c", "kill -9 -1", check=False)
        wait_for(lambda: self.inspect(container)["State"]["StartedAt"] != before)

    def pause(self, part: str) -> None:
        """Suspend all of a part's processes."""
        self.compose("pause", part)

    def resume(self, part: str) -> None:
        """Resume a paused part."""
        self.compose("unpause", part)

    def list_replicas(self) -> list[str]:
        """Return the names of the running containers."""
        listed = self.compose("ps", "--format", "{{.Name}}").stdout.split()
        return sorted(listed)

    def strike(self, replica: str, how: str) -> None:
        """Inject a fault, one of `strikes`, into a container, unless it is down.

        `kill` kills its processes, and the engine restarts it. `end` is `docker kill`, after which the engine
        waits for `docker start`.
        """
        commands = {
            "kill": ["exec", replica, "sh", "-c", "kill -9 -1"],
            "end": ["kill", replica],
            "pause": ["pause", replica],
            "restart": ["restart", "--timeout", "10", replica],
            "disconnect": ["network", "disconnect", self._network_of(replica), replica],
        }
        subprocess.run(["docker", *commands[how]], capture_output=True, check=False)

    def heal(self, replica: str) -> None:
        """Undo all lasting faults; the engine refuses the commands that do not apply."""
        # The other containers find it under this name.
        alias = ["--alias", self._service_of(replica)]
        for command in (
            ["unpause", replica],
            ["start", replica],
            ["network", "connect", *alias, self._network_of(replica), replica],
        ):
            subprocess.run(["docker", *command], capture_output=True, check=False)

    def roll(self, service: str) -> None:
        """Replace a service's replicas one at a time, as `make roll` does."""
        there = {"COMPOSE_PROJECT_NAME": self.project, "PORT": str(self.port), "STATE": "no such folder"}
        _roll(service, {**os.environ, **there})

    def reload_gateway(self) -> None:
        """Make the gateway reload its configuration."""
        self.compose("kill", "--signal", "HUP", "gateway")

    def _service_of(self, replica: str) -> str:
        return replica.removeprefix(f"{self.project}-").rpartition("-")[0]

    def _network_of(self, replica: str) -> str:
        """Return the network that a container depends on: `inside` for the gateway, `back` for all others."""
        return f"{self.project}_{'inside' if self._service_of(replica) == 'gateway' else 'back'}"

    def audit(self) -> subprocess.CompletedProcess[str]:
        """Audit the books in a container."""
        return self.compose("run", "--rm", "audit", check=False)


def _roll(service: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local.roll", service],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def docker(*arguments: str) -> str:
    """Run `docker`; return its output."""
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def docker_or_skip() -> None:
    """Skip the test if there is no Docker engine with Compose; fail it if REQUIRE_DOCKER is set."""
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, capture_output=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        assert not os.environ.get("REQUIRE_DOCKER"), "REQUIRE_DOCKER is set, but no Docker engine responds."
        pytest.skip("no Docker engine responds, so the Compose stack is not tested")


class Shopper(requests.Session):
    """A client that calls the shop through its gateway."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.trust_env = False

    def request(self, method: str, path: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request to a path of the shop."""
        return super().request(method, self.url + path, **{"timeout": 20, **options})

    def log_in(self) -> str:
        """Log in as the demo admin; return the token."""
        answer = self.post("/auth", json={"username": "admin", "password": "admin"})
        assert answer.status_code == 200, answer.text
        return answer.json()["access_token"]


def read_instances(shopper: Shopper, service: str, *, seconds: float) -> set[str]:
    """Return the replicas of a service that respond within `seconds`."""
    instances, deadline = set(), time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = shopper.get(f"/healthz/{service}")
        if answer.status_code == 200:
            instances.add(answer.json()["instance"])
    return instances
