"""The shop on a Swarm of one node, which is made for it and taken apart again."""

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
BRIDGE = "docker_gwbridge"  # The engine's own network for a Swarm's containers, which it leaves behind.
BY_HAND = "`SWARM=yes .venv/bin/python -m pytest tests/deploy/test_swarm.py` runs them all the same"


class SwarmStack:
    """A stack of its own name, port and versions."""

    def __init__(self) -> None:
        self.name = f"shopfleet-swarm-{secrets.token_hex(3)}"
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._of_stack = f"label=com.docker.stack.namespace={self.name}"

    def environment(self, version: str) -> dict[str, str]:
        """Return what the commands of deploy/README.md are told."""
        told = {"STACK": self.name, "PORT": str(self.port), "DEMO_USERS": "yes", "IMAGES": ""}
        # The gateway stays: its own update takes the node away for a moment.
        return {**os.environ, **told, "VERSION": self.tag(version), "GATEWAY_VERSION": self.tag("1")}

    def tag(self, version: str) -> str:
        """Return the tag of a version's images, which belongs to this stack alone."""
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
        """Deploy a version, as deploy/README.md says, and wait for what becomes of it."""
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
        """Return the versions of a service whose containers run."""
        images = {docker("inspect", "--format={{.Config.Image}}", each) for each in self.containers(service)}
        return {image.partition("@")[0].rpartition(f"{self.name}-")[2] for image in images}

    def running(self) -> list[str]:
        """Return what there is of the stack: its services, and containers and networks by their ids."""
        return [
            *docker("service", "ls", "--format={{.Name}}", "--filter", self._of_stack).split(),
            *docker("ps", "--quiet", "--filter", self._of_stack).split(),
            *docker("network", "ls", "--quiet", "--filter", self._of_stack).split(),
        ]

    def volumes(self) -> list[str]:
        """Return the names of the stack's volumes."""
        return docker("volume", "ls", "--quiet", "--filter", self._of_stack).split()

    def wipe(self) -> None:
        """Remove all there is of the stack, in any state."""
        subprocess.run(["docker", "stack", "rm", self.name], capture_output=True, check=False)
        wait_for(lambda: not self.running(), seconds=90)

    def sweep(self) -> None:
        """Remove what a node keeps that has left its Swarm: ended containers, volumes, images."""
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
    """Say why an engine has to be left alone, by the state of its node and the containers that run on it."""
    if state != "inactive":
        return (
            f"this engine belongs to a Swarm already (its node is {state}), so the tests of a deployment on "
            "Swarm are left out: they would have to leave it"
        )
    if running and not forced:
        return (
            f"containers run on this engine ({', '.join(sorted(running))}), so the tests of a deployment on "
            "Swarm are left out: an engine that begins or leaves a Swarm can lose the names by which "
            f"containers find each other; {BY_HAND}"
        )
    return None


def free_engine_or_skip() -> None:
    """Leave a test out that makes the engine a Swarm, unless it harms nothing or SWARM=yes demands it."""
    docker_or_skip()
    forced = os.environ.get("SWARM") == "yes"
    state = docker("info", "--format={{.Swarm.LocalNodeState}}")
    obstacle = find_obstacle(state, docker("ps", "--format={{.Names}}").split(), forced=forced)
    assert not (obstacle and forced), f"SWARM=yes is set, and {obstacle}."
    if obstacle:
        pytest.skip(obstacle)


@contextmanager
def swarm_of_one() -> Iterator[SwarmStack]:
    """Make this machine a Swarm for as long as the block runs, and leave it as it was."""
    free_engine_or_skip()
    had_bridge = BRIDGE in docker("network", "ls", "--format={{.Name}}").split()
    stack = SwarmStack()
    # A machine that is busy with tests is no node that has failed.
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
    """Tell whether the shop answers for each of its services."""
    try:
        with Shopper(stack.url) as shopper:
            return all(shopper.get(f"/healthz/{service}").status_code == 200 for service in SERVICES)
    except OSError:
        return False
