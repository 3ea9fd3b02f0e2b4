"""The shop on a temporary Swarm of one node."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.stacks import ROOT, SERVICES, Shopper, docker, docker_or_skip, find_free_port
from tests.waiting import wait_for

OVERLAY = ("--file", "docker-compose.yml", "--file", "deploy/swarm.yml")
BRIDGE = "docker_gwbridge"  # The engine's network for a Swarm's containers, which remains after the Swarm.
BY_HAND = "`SWARM=yes .venv/bin/python -m pytest tests/deploy/test_swarm.py` runs them anyway"


class SwarmStack:
    """A stack with a unique name, port and image tags."""

    def __init__(self) -> None:
        self.name = f"shopfleet-swarm-{secrets.token_hex(3)}"
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._of_stack = f"label=com.docker.stack.namespace={self.name}"

    def environment(self, version: str) -> dict[str, str]:
        """Return the environment of the deployment commands."""
        given = {"STACK": self.name, "PORT": str(self.port), "DEMO_USERS": "yes", "IMAGES": ""}
        # Keep the gateway's version: its update makes the node unavailable for a moment.
        return {**os.environ, **given, "VERSION": self.tag(version), "GATEWAY_VERSION": self.tag("1")}

    def tag(self, version: str) -> str:
        """Return the tag of a version's images, which is unique to this stack."""
        return f"{self.name}-{version}"

    def build(self, version: str) -> None:
        """Build the images of a version."""
        built = subprocess.run(
            ["docker", "compose", *OVERLAY, "build"],
            cwd=ROOT,
            env=self.environment(version),
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stderr

    def deploy(self, version: str) -> subprocess.CompletedProcess[str]:
        """Deploy a version with `deploy.swarm`, and wait for the result."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.swarm"],
            cwd=ROOT,
            env=self.environment(version),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=700,
        )

    def containers(self, service: str) -> set[str]:
        """Return the ids of a service's running containers."""
        named = f"label=com.docker.swarm.service.name={self.name}_{service}"
        return set(docker("ps", "--quiet", "--filter", named).split())

    def versions(self, service: str) -> set[str]:
        """Return the versions of a service's running containers."""
        images = {docker("inspect", "--format={{.Config.Image}}", each) for each in self.containers(service)}
        return {image.partition("@")[0].rpartition(f"{self.name}-")[2] for image in images}

    def running(self) -> list[str]:
        """Return the stack's services by name, and its containers and networks by id."""
        return [
            *docker("service", "ls", "--format={{.Name}}", "--filter", self._of_stack).split(),
            *docker("ps", "--quiet", "--filter", self._of_stack).split(),
            *docker("network", "ls", "--quiet", "--filter", self._of_stack).split(),
        ]

    def volumes(self) -> list[str]:
        """Return the names of the stack's volumes."""
        return docker("volume", "ls", "--quiet", "--filter", self._of_stack).split()

    def wipe(self) -> None:
        """Remove the stack in any state."""
        subprocess.run(["docker", "stack", "rm", self.name], capture_output=True, check=False)
        wait_for(lambda: not self.running(), seconds=90)

    def sweep(self) -> None:
        """Remove what remains after the Swarm: stopped containers, volumes and images."""
        containers = docker("ps", "--all", "--quiet", "--filter", self._of_stack).split()
        images = [
            image
            for image in docker("images", "--format={{.Repository}}:{{.Tag}}").split()
            if self.name in image
        ]
        for words, names in (
            (["rm", "--force"], containers),
            (["volume", "rm", "--force"], self.volumes()),
            (["rmi", "--force"], images),
        ):
            if names:
                subprocess.run(["docker", *words, *names], capture_output=True, check=False)


def find_obstacle(state: str, running: list[str], *, forced: bool) -> str | None:
    """Return why the tests must not touch this engine, given the state of its node and its containers."""
    if state != "inactive":
        return (
            f"this engine already belongs to a Swarm (its node is {state}), so the tests of a deployment on "
            "Swarm are skipped: they would have to leave it"
        )
    if running and not forced:
        return (
            f"containers run on this engine ({', '.join(sorted(running))}), so the tests of a deployment on "
            "Swarm are skipped: an engine that joins or leaves a Swarm may lose the DNS names of running "
            f"containers; {BY_HAND}"
        )
    return None


def free_engine_or_skip() -> None:
    """Skip a test that turns the engine into a Swarm, unless that is harmless or SWARM=yes is set."""
    docker_or_skip()
    forced = os.environ.get("SWARM") == "yes"
    state = docker("info", "--format={{.Swarm.LocalNodeState}}")
    obstacle = find_obstacle(state, docker("ps", "--format={{.Names}}").split(), forced=forced)
    assert not (obstacle and forced), f"SWARM=yes is set, but {obstacle}."
    if obstacle:
        pytest.skip(obstacle)


@contextmanager
def swarm_of_one() -> Iterator[SwarmStack]:
    """Turn this machine into a Swarm for the length of the block, and restore it afterwards."""
    free_engine_or_skip()
    had_bridge = BRIDGE in docker("network", "ls", "--format={{.Name}}").split()
    stack = SwarmStack()
    # A node that is busy with tests must not count as failed.
    docker("swarm", "init", "--advertise-addr=127.0.0.1", "--dispatcher-heartbeat=60s")
    try:
        yield stack
    finally:
        try:
            stack.wipe()
        finally:
            docker("swarm", "leave", "--force")
            stack.sweep()
            if not had_bridge:
                subprocess.run(["docker", "network", "rm", BRIDGE], capture_output=True, check=False)


def is_open(stack: SwarmStack) -> bool:
    """Return whether all services of the shop are healthy."""
    try:
        with Shopper(stack.url) as shopper:
            return all(shopper.get(f"/healthz/{service}").status_code == 200 for service in SERVICES)
    except OSError:
        return False
