"""The manifests of deploy/kubernetes as rendered by `kubectl kustomize`, and the resolved Compose file."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from tests.stacks import ROOT, docker_or_skip

OVERLAYS = ("development", "production")
FULL_NAME = ".shopfleet.svc.cluster.local"

Manifest = dict[str, Any]


def kubectl_or_skip() -> None:
    """Skip a test without a kubectl with Kustomize 5, or fail if REQUIRE_KUBECTL is set."""
    try:
        version = subprocess.run(
            ["kubectl", "version", "--client"], capture_output=True, text=True, check=False
        )
        found = re.search(r"^Kustomize Version: v(\d+)", version.stdout, re.MULTILINE)
    except OSError:
        found = None
    if not found or int(found[1]) < 5:
        missing = "no kubectl with Kustomize 5 is installed"
        assert not os.environ.get("REQUIRE_KUBECTL"), f"REQUIRE_KUBECTL is set, but {missing}."
        pytest.skip(f"{missing}, so the tests of the Kubernetes manifests are skipped")


@cache
def render(overlay: str) -> list[Manifest]:
    """Return the rendered manifests of an overlay."""
    done = subprocess.run(
        ["kubectl", "kustomize", f"deploy/kubernetes/{overlay}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # No deprecation warnings.
    return list(yaml.safe_load_all(done.stdout))


def find(overlay: str, kind: str, name: str) -> Manifest:
    """Return the manifest of this kind and name."""
    [found] = [each for each in render(overlay) if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods_of(overlay: str) -> Iterator[tuple[str, Manifest]]:
    """Yield each pod template with the kind and name of its owner."""
    for each in render(overlay):
        if "template" in each.get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


def containers_of(pod: Manifest) -> list[Manifest]:
    """Return all containers of a pod template."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment_of(overlay: str, container: Manifest) -> dict[str, str]:
    """Return the environment of a container."""
    environment: dict[str, str] = {}
    for source in container.get("envFrom", []):
        environment |= find(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    return environment | {each["name"]: each["value"] for each in container.get("env", [])}


@cache
def read_compose() -> dict[str, Any]:
    """Return the services of docker-compose.yml as resolved by Compose, without any variables set."""
    services: dict[str, Any] = resolve_compose()["services"]
    return services


def resolve_compose(*options: str, **environment: str) -> dict[str, Any]:
    """Return docker-compose.yml as resolved by Compose, with only these variables set."""
    docker_or_skip()
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["docker", "compose", *options, "config", "--format=json"],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    resolved: dict[str, Any] = json.loads(done.stdout)
    return resolved
