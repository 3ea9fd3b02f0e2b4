"""Deploy the shop on a Swarm, from a manager; the same again brings in a new version or other settings.

    VERSION=7 python3 -m deploy.swarm

It says docker-compose.yml with swarm.yml in the words of `docker stack deploy`: what Compose keeps in the
volumes of its step `secrets` becomes Swarm's secrets, and what it mounts from this checkout becomes configs,
since no other node has one. Needs Python 3.11 and nothing else.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.setup_secrets import setup_secrets

ROOT = Path(__file__).resolve().parents[1]
FILES = ("docker-compose.yml", "deploy/swarm.yml")
DATA = "shopfleet-data"  # The label of the node that has the database's data.
OWNER = "shopfleet.stack"  # The label of secrets, which outlive the stack as the data does.
PATIENCE = 600.0  # Seconds for all replicas to be replaced.
SETTLED = 3  # Seconds in which nothing changes any more.
CERTIFICATES = "/run/tls"
# Of the gateway's folder: a certificate is a secret (TLS_CERTIFICATES), the storefront is in the image, and
# the scripts are mounted by themselves. A config that is used twice changes its place from one deployment to
# the next, and the gateway would be replaced for nothing.
LEFT_OUT = frozenset({"tls", "storefront", "entrypoint"})
# What Swarm has no word for: it builds nothing, knows no order, and restarts as `deploy` says.
UNKNOWN = ("build", "depends_on", "pull_policy", "restart", "security_opt", "entrypoint")

Service = dict[str, Any]
Objects = dict[str, dict[str, Any]]


def read_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return both files as Compose understands them."""
    options = [word for file in FILES for word in ("--file", file)]
    # Swarm publishes on every address, also where BIND names one, and the services have to know.
    told = {**environment, "BIND": "0.0.0.0"}  # noqa: S104
    rendered: dict[str, Any] = json.loads(_docker("compose", *options, "config", "--format=json", env=told))
    return rendered


def render_stack(compose: Mapping[str, Any], stack: str, secrets: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return what `docker stack deploy` takes; `secrets` has the names of the files in each folder."""
    services: dict[str, Service] = dict(compose["services"])
    folders = {each["source"]: each["target"] for each in services.pop("secrets")["volumes"]}
    objects: dict[str, Objects] = {"secrets": {}, "configs": {}}
    for folder, names in secrets.items():
        objects["secrets"] |= {
            f"{folder}_{name}": {"external": True, "name": name_secret(stack, folder, name)} for name in names
        }
    given = {name: secret["file"] for name, secret in compose["secrets"].items()}
    for service in services.values():
        _rename(service)
        _hand_out(service, folders, secrets)
        _hand_files(service, stack, given, objects)
    used = {
        each["source"] for service in services.values() for each in service["volumes"] if "source" in each
    }
    return {
        "services": services,
        "networks": {
            name: {"driver": "overlay", "internal": network.get("internal", False)}
            for name, network in compose["networks"].items()
        },
        "volumes": {
            name: {"driver_opts": volume.get("driver_opts", {})}
            for name, volume in compose["volumes"].items()
            if name in used
        },
        **objects,
    }


def _rename(service: Service) -> None:
    """Say in Swarm's words what Compose calls otherwise."""
    for word in UNKNOWN:
        service.pop(word, None)
    resources = service["deploy"].setdefault("resources", {})
    resources.setdefault("limits", {})["memory"] = service.pop("mem_limit")
    if "reservations" in resources:
        resources["reservations"]["cpus"] = str(resources["reservations"]["cpus"])
    mounts = service.setdefault("volumes", [])
    mounts += [{"type": "tmpfs", "target": each.partition(":")[0]} for each in service.pop("tmpfs", [])]
    if "shm_size" in service:
        size = int(service.pop("shm_size"))
        mounts.append({"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": size}})  # noqa: S108
    for port in service.get("ports", []):
        port["published"] = int(port["published"])
    for word in [word for word, value in service.items() if value is None]:
        del service[word]


def _hand_out(service: Service, folders: Mapping[str, str], secrets: Mapping[str, list[str]]) -> None:
    """Turn a mounted volume of secrets into a secret for each of its files, at the same place."""
    for mount in [each for each in service["volumes"] if each.get("source") in folders]:
        service["volumes"].remove(mount)
        folder = Path(folders[mount["source"]]).name
        service.setdefault("secrets", []).extend(
            {"source": f"{folder}_{name}", "target": f"{mount['target']}/{name}"} for name in secrets[folder]
        )


def _hand_files(
    service: Service, stack: str, given: Mapping[str, str], objects: Mapping[str, Objects]
) -> None:
    """Turn files of this machine into objects of the Swarm, which a name with a digest tells apart."""
    references = service.pop("secrets", [])
    service["secrets"] = [each for each in references if given.get(each["source"]) != os.devnull]
    for reference in service["secrets"]:
        if reference["source"] in given:
            file = Path(given[reference["source"]])
            reference["source"] = _add(objects["secrets"], stack, file)
    for mount in [each for each in service["volumes"] if each["type"] == "bind"]:
        service["volumes"].remove(mount)
        if mount["target"] == CERTIFICATES and not service["environment"]["TLS_CERTIFICATES"]:
            continue
        kind = "secrets" if mount["target"] == CERTIFICATES else "configs"
        for file, target in _files_below(Path(mount["source"]), mount["target"]):
            reference = {"source": _add(objects[kind], stack, file), "target": target}
            if os.access(file, os.X_OK):
                reference["mode"] = 0o555
            service.setdefault(kind, []).append(reference)


def _files_below(source: Path, target: str) -> Iterator[tuple[Path, str]]:
    if source.is_file():
        yield source, target
        return
    for file in sorted(source.rglob("*")):
        place = file.relative_to(source)
        if file.is_file() and place.parts[0] not in LEFT_OUT and file.name != ".gitignore":
            yield file, f"{target}/{place}"


def _add(objects: Objects, stack: str, file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    name = f"{stack}_{re.sub('[^a-zA-Z0-9._-]', '-', file.name)}_{digest}"
    objects[name] = {"name": name, "file": str(file)}
    return name


def name_secret(stack: str, folder: str, file: str) -> str:
    """Return what a secret is called in the Swarm."""
    return f"{stack}_{folder}_{file}"


def make_secrets(stack: str, services: list[str]) -> dict[str, list[str]]:
    """Make the stack's secrets if there are none yet; return the names of the files in each folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:  # noqa: S108
        setup_secrets(Path(place), services)
        files = sorted(file for file in Path(place).rglob("*") if file.is_file())
        wanted = {name_secret(stack, file.parent.name, file.name): file for file in files}
        there = _docker("secret", "ls", "--format={{.Name}}", f"--filter=label={OWNER}={stack}").split()
        if not there:
            for name, file in wanted.items():
                _docker("secret", "create", f"--label={OWNER}={stack}", name, str(file))
        elif wanted.keys() - set(there):
            # Some were made together, such as a password and its copy, and none can be read again.
            sys.exit(
                f"Cannot deploy: of the stack's secrets, {', '.join(wanted.keys() - set(there))} is missing."
            )
    folders: dict[str, list[str]] = {}
    for file in files:
        folders.setdefault(file.parent.name, []).append(file.name)
    return folders


def label_node() -> None:
    """Let the data be on this node if no node has been chosen for it."""
    if not _docker("node", "ls", "--quiet", f"--filter=node.label={DATA}=yes"):
        here = _docker("info", "--format={{.Swarm.NodeID}}").strip()
        _docker("node", "update", f"--label-add={DATA}=yes", here)


def split_stack(rendered: Mapping[str, Any], there: set[str]) -> list[dict[str, Any]]:
    """Return the stack in the parts that are deployed one after the other.

    The database and the steps come first, as with Compose; then all that is not there yet, together; then,
    one at a time so that no request is lost, the others.
    """
    services = rendered["services"]
    first = [
        name
        for name, service in services.items()
        if name == "postgres" or service["deploy"].get("mode") == "replicated-job"
    ]
    rest = [name for name in services if name not in first]
    new = [name for name in rest if name not in there]
    parts = [first, new, *([name] for name in rest if name in there)]
    return [{**rendered, "services": {name: services[name] for name in part}} for part in parts if part]


def deploy(rendered: Mapping[str, Any], stack: str) -> None:
    """Hand a part of the stack over, and wait until Swarm has done what it says, or has gone back."""
    began = datetime.now(UTC).isoformat()
    # Without a registry nothing can be asked for an image's digest, and each node has the images itself.
    registry = ["--with-registry-auth"] if os.environ.get("IMAGES") else ["--resolve-image=never"]
    _docker(
        "stack", "deploy", "--compose-file=-", "--detach=true", *registry, stack, text=json.dumps(rendered)
    )
    names = [f"{stack}_{name}" for name in rendered["services"]]
    deadline, settled = time.monotonic() + PATIENCE, 0
    # An update is not seen in the first moment, and what has just started may still fall over.
    while settled < SETTLED:
        time.sleep(1)
        settled = settled + 1 if all(_is_done(name, began) for name in names) else 0
        if time.monotonic() > deadline:
            late = [each for each in names if not _is_done(each, began)]
            sys.exit(f"Not there after {PATIENCE:.0f} s: {', '.join(late)}.")
    print(f"{', '.join(rendered['services'])}: up.", flush=True)  # noqa: T201  # A command speaks this way.


def _is_done(name: str, began: str) -> bool:
    """Tell whether a service's replicas all run in their present version, or a step has succeeded."""
    service = json.loads(_docker("service", "inspect", name))[0]
    status = service.get("UpdateStatus", {})
    update = status.get("State", "")
    # Where there was nothing to change, the end of the last update still stands there.
    if ("rollback" in update or "paused" in update) and status["StartedAt"] >= began:
        sys.exit(f"{name} did not come up and is as it was before; docker service ps {name} says why.")
    ids = _docker("service", "ps", "--quiet", name).split()
    # An old one may be forgotten between the two questions.
    tasks = json.loads(_docker("inspect", *ids, may_fail=True)) if ids else []
    if "ReplicatedJob" in service["Spec"]["Mode"]:
        mine = [each for each in tasks if each["JobIteration"] == service["JobStatus"]["JobIteration"]]
        return any(each["Status"]["State"] == "complete" for each in mine)
    wanted = service["Spec"]["Mode"].get("Replicated", {"Replicas": 1})["Replicas"]
    states = [each["Status"]["State"] for each in tasks if each["DesiredState"] == "running"]
    return update != "updating" and len(states) >= wanted and set(states) == {"running"}


def _docker(
    *words: str, env: Mapping[str, str] | None = None, text: str | None = None, may_fail: bool = False
) -> str:
    """Run `docker`, with a text to read if there is one; return what it wrote."""
    done = subprocess.run(
        ["docker", *words], cwd=ROOT, env=env, input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0 and not may_fail:
        sys.exit(f"Cannot deploy: docker {' '.join(words[:2])} failed.")
    return done.stdout


def main() -> None:
    """Deploy what the environment describes."""
    stack = os.environ.get("STACK") or "shopfleet"
    compose = read_compose(os.environ)
    label_node()
    secrets = make_secrets(stack, compose["services"]["secrets"]["command"][4:])
    rendered = render_stack(compose, stack, secrets)
    listed = _docker(
        "service", "ls", "--format={{.Name}}", f"--filter=label=com.docker.stack.namespace={stack}"
    )
    there = {name.removeprefix(f"{stack}_") for name in listed.split()}
    for part in split_stack(rendered, there):
        deploy(part, stack)


if __name__ == "__main__":
    main()
