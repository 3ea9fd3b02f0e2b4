"""The manifests of deploy/kubernetes as `kubectl kustomize` renders them, and what Compose says."""

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
    """Leave a test out where there is no kubectl with Kustomize 5, unless REQUIRE_KUBECTL says there is."""
    try:
        said = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, check=False)
        found = re.search(r"^Kustomize Version: v(\d+)", said.stdout, re.MULTILINE)
    except OSError:
        found = None
    if not found or int(found[1]) < 5:
        assert not os.environ.get("REQUIRE_KUBECTL"), "REQUIRE_KUBECTL is set, and there is no such kubectl."
        pytest.skip("no kubectl with Kustomize 5 is installed, so the manifests for Kubernetes are left out")


@cache
def render(overlay: str) -> list[Manifest]:
    """Return what an overlay is rendered to."""
    done = subprocess.run(
        ["kubectl", "kustomize", f"deploy/kubernetes/{overlay}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # Not a word about what is deprecated.
    return list(yaml.safe_load_all(done.stdout))


def find(overlay: str, kind: str, name: str) -> Manifest:
    """Return the one manifest of that kind and name."""
    [found] = [each for each in render(overlay) if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods_of(overlay: str) -> Iterator[tuple[str, Manifest]]:
    """Return the template of each pod, under the kind and name of what makes it."""
    for each in render(overlay):
        if "template" in each.get("spec", {}):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


def containers_of(pod: Manifest) -> list[Manifest]:
    """Return all containers of a pod."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment_of(overlay: str, container: Manifest) -> dict[str, str]:
    """Return what a container is told."""
    told: dict[str, str] = {}
    for source in container.get("envFrom", []):
        told |= find(overlay, "ConfigMap", source["configMapRef"]["name"])["data"]
    return told | {each["name"]: each["value"] for each in container.get("env", [])}


@cache
def read_compose() -> dict[str, Any]:
    """Return docker-compose.yml as Compose understands it where nothing is set."""
    docker_or_skip()
    done = subprocess.run(
        ["docker", "compose", "config", "--format=json"],
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services
