"""Deploy the shop on a Swarm, from a manager. Repeat it to deploy a new version or new settings.

    VERSION=7 python3 -m deploy.swarm

It renders docker-compose.yml and swarm.yml for `docker stack deploy`. The files that Compose's job `secrets`
writes into volumes become Swarm secrets. Files mounted from this checkout become configs, because other nodes
have no checkout. Requires only Python 3.11.
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
DATA = "shopfleet-data"  # The label of the node that stores the database.
OWNER = "shopfleet.stack"  # The label of secrets, which survive the removal of the stack, like the data.
PATIENCE = 600.0  # Seconds within which all replicas must be replaced.
SETTLED = 3  # Seconds without a change after which a deployment counts as done.
CERTIFICATES = "/run/tls"
# Mounted folders of the owner, with the variable that is empty without one.
OPTIONAL = {CERTIFICATES: "TLS_CERTIFICATES", "/mail-templates": "MAIL_TEMPLATES"}
# Subfolders of the gateway that do not become configs: a certificate is a secret (TLS_CERTIFICATES), the
# image contains the storefront, and the scripts have their own mounts. A config that is used twice would
# change its order between deployments, which would replace the gateway for no reason.
EXCLUDED = frozenset({"tls", "storefront", "entrypoint"})
# Keys that Swarm does not support: it builds nothing, has no start order, and restarts according to `deploy`.
# It has no options of the resolver, and no name for the host.
UNSUPPORTED = (
    "build",
    "depends_on",
    "dns_opt",
    "entrypoint",
    "extra_hosts",
    "pull_policy",
    "restart",
    "security_opt",
)

Service = dict[str, Any]
Objects = dict[str, dict[str, Any]]


def read_compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return both files as resolved by Compose."""
    options = [word for file in FILES for word in ("--file", file)]
    # Swarm publishes ports on all addresses and ignores BIND, and the services must know.
    resolved = {**environment, "BIND": "0.0.0.0"}  # noqa: S104  # Swarm publishes on every address.
    rendered: dict[str, Any] = json.loads(
        _docker("compose", *options, "config", "--format=json", env=resolved)
    )
    return rendered


def render_stack(compose: Mapping[str, Any], stack: str, secrets: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the input of `docker stack deploy`; `secrets` lists the files of each folder."""
    services: dict[str, Service] = dict(compose["services"])
    folders = {each["source"]: each["target"] for each in services.pop("secrets")["volumes"]}
    objects: dict[str, Objects] = {"secrets": {}, "configs": {}}
    for folder, names in secrets.items():
        objects["secrets"] |= {
            f"{folder}_{name}": {"external": True, "name": name_secret(stack, folder, name)} for name in names
        }
    secret_files = {name: secret["file"] for name, secret in compose["secrets"].items()}
    for service in services.values():
        _translate(service)
        _replace_secret_volumes(service, folders, secrets)
        _replace_files(service, stack, secret_files, objects)
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


def _translate(service: Service) -> None:
    """Translate a service from Compose's keys to those of Swarm."""
    for key in UNSUPPORTED:
        service.pop(key, None)
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
    for key in [key for key, value in service.items() if value is None]:
        del service[key]


def _replace_secret_volumes(
    service: Service, folders: Mapping[str, str], secrets: Mapping[str, list[str]]
) -> None:
    """Replace each mounted volume of secrets by one secret per file, at the same path."""
    for mount in [each for each in service["volumes"] if each.get("source") in folders]:
        service["volumes"].remove(mount)
        folder = Path(folders[mount["source"]]).name
        service.setdefault("secrets", []).extend(
            {"source": f"{folder}_{name}", "target": f"{mount['target']}/{name}"} for name in secrets[folder]
        )


def _replace_files(
    service: Service, stack: str, secret_files: Mapping[str, str], objects: Mapping[str, Objects]
) -> None:
    """Replace files of this machine by Swarm objects, whose names contain a digest of the content."""
    references = service.pop("secrets", [])
    service["secrets"] = [each for each in references if secret_files.get(each["source"]) != os.devnull]
    for reference in service["secrets"]:
        if reference["source"] in secret_files:
            file = Path(secret_files[reference["source"]])
            reference["source"] = _add(objects["secrets"], stack, file)
    for mount in [each for each in service["volumes"] if each["type"] == "bind"]:
        service["volumes"].remove(mount)
        variable = OPTIONAL.get(mount["target"])
        if variable and not service["environment"][variable]:
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
        path = file.relative_to(source)
        if file.is_file() and path.parts[0] not in EXCLUDED and file.name != ".gitignore":
            yield file, f"{target}/{path}"


def _add(objects: Objects, stack: str, file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    name = f"{stack}_{re.sub('[^a-zA-Z0-9._-]', '-', file.name)}_{digest}"
    objects[name] = {"name": name, "file": str(file)}
    return name


def name_secret(stack: str, folder: str, file: str) -> str:
    """Return the name of a secret in the Swarm."""
    return f"{stack}_{folder}_{file}"


def create_secrets(stack: str, services: list[str]) -> dict[str, list[str]]:
    """Create the stack's secrets unless they exist; return the files of each folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as temporary:  # noqa: S108
        setup_secrets(Path(temporary), services)
        files = sorted(file for file in Path(temporary).rglob("*") if file.is_file())
        wanted = {name_secret(stack, file.parent.name, file.name): file for file in files}
        existing = _docker("secret", "ls", "--format={{.Name}}", f"--filter=label={OWNER}={stack}").split()
        if not existing:
            for name, file in wanted.items():
                _docker("secret", "create", f"--label={OWNER}={stack}", name, str(file))
        elif wanted.keys() - set(existing):
            # Secrets cannot be read back, and some belong together, such as a password and its copy.
            missing = ", ".join(wanted.keys() - set(existing))
            sys.exit(f"Cannot deploy: the stack has secrets, but {missing} is missing.")
    folders: dict[str, list[str]] = {}
    for file in files:
        folders.setdefault(file.parent.name, []).append(file.name)
    return folders


def label_node() -> None:
    """Choose this node for the database, unless a node has been chosen."""
    if not _docker("node", "ls", "--quiet", f"--filter=node.label={DATA}=yes"):
        here = _docker("info", "--format={{.Swarm.NodeID}}").strip()
        _docker("node", "update", f"--label-add={DATA}=yes", here)


def split_stack(rendered: Mapping[str, Any], existing: set[str]) -> list[dict[str, Any]]:
    """Return the parts of the stack in order of their deployment.

    The database and the one-off jobs are first, as with Compose, followed by all new services together.
    Existing services follow one at a time, so that no request is lost.
    """
    services = rendered["services"]
    first = [
        name
        for name, service in services.items()
        if name == "postgres" or service["deploy"].get("mode") == "replicated-job"
    ]
    rest = [name for name in services if name not in first]
    new = [name for name in rest if name not in existing]
    parts = [first, new, *([name] for name in rest if name in existing)]
    return [{**rendered, "services": {name: services[name] for name in part}} for part in parts if part]


def deploy(rendered: Mapping[str, Any], stack: str) -> None:
    """Deploy a part of the stack, and wait until Swarm has deployed it or rolled it back."""
    started = datetime.now(UTC).isoformat()
    # Without a registry, image digests cannot be resolved, and each node has its own copy of the images.
    registry = ["--with-registry-auth"] if os.environ.get("IMAGES") else ["--resolve-image=never"]
    _docker(
        "stack", "deploy", "--compose-file=-", "--detach=true", *registry, stack, text=json.dumps(rendered)
    )
    names = [f"{stack}_{name}" for name in rendered["services"]]
    deadline, settled = time.monotonic() + PATIENCE, 0
    # An update takes a moment to appear, and a new replica may still fail.
    while settled < SETTLED:
        time.sleep(1)
        settled = settled + 1 if all(_is_done(name, started) for name in names) else 0
        if time.monotonic() > deadline:
            late = [each for each in names if not _is_done(each, started)]
            sys.exit(f"Not deployed after {PATIENCE:.0f} s: {', '.join(late)}.")
    print(f"{', '.join(rendered['services'])}: up.", flush=True)  # noqa: T201  # This is a command.


def _is_done(name: str, started: str) -> bool:
    """Return whether all replicas of a service run the new version, or a job has succeeded."""
    service = json.loads(_docker("service", "inspect", name))[0]
    status = service.get("UpdateStatus", {})
    update = status.get("State", "")
    # If nothing changed, the status is still that of the previous update.
    if ("rollback" in update or "paused" in update) and status["StartedAt"] >= started:
        sys.exit(f"{name} failed to start and was rolled back; see docker service ps {name}.")
    ids = _docker("service", "ps", "--quiet", name).split()
    # Swarm may delete an old task between the two commands.
    tasks = json.loads(_docker("inspect", *ids, may_fail=True)) if ids else []
    if "ReplicatedJob" in service["Spec"]["Mode"]:
        current = [each for each in tasks if each["JobIteration"] == service["JobStatus"]["JobIteration"]]
        return any(each["Status"]["State"] == "complete" for each in current)
    wanted = service["Spec"]["Mode"].get("Replicated", {"Replicas": 1})["Replicas"]
    states = [each["Status"]["State"] for each in tasks if each["DesiredState"] == "running"]
    return update != "updating" and len(states) >= wanted and set(states) == {"running"}


def _docker(
    *words: str, env: Mapping[str, str] | None = None, text: str | None = None, may_fail: bool = False
) -> str:
    """Run `docker` with optional input, and return its output."""
    done = subprocess.run(
        ["docker", *words], cwd=ROOT, env=env, input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0 and not may_fail:
        sys.exit(f"Cannot deploy: docker {' '.join(words[:2])} failed.")
    return done.stdout


def main() -> None:
    """Deploy the stack that the environment describes."""
    stack = os.environ.get("STACK") or "shopfleet"
    compose = read_compose(os.environ)
    label_node()
    secrets = create_secrets(stack, compose["services"]["secrets"]["command"][4:])
    rendered = render_stack(compose, stack, secrets)
    listed = _docker(
        "service", "ls", "--format={{.Name}}", f"--filter=label=com.docker.stack.namespace={stack}"
    )
    existing = {name.removeprefix(f"{stack}_") for name in listed.split()}
    for part in split_stack(rendered, existing):
        deploy(part, stack)


if __name__ == "__main__":
    main()
