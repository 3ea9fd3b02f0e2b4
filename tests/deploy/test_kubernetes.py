"""The manifests for Kubernetes: rendered, valid, restricted, and of one mind with docker-compose.yml."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.manifests import (
    FULL_NAME,
    OVERLAYS,
    Manifest,
    containers_of,
    environment_of,
    find,
    kubectl_or_skip,
    pods_of,
    read_compose,
    render,
)
from tests.stacks import ROOT, SERVICES

pytestmark = pytest.mark.shop

SCHEMAS = ("1.31", "1.37")  # The oldest Kubernetes that all of it is for, and the newest with schemas.
# What a volume may be in the profile `restricted` of the Pod Security Standards.
VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
# Replicas of logs-service in the gateway's pods read its records; with Compose all of them do.
ELSEWHERE = {"logs-service": {"RECORDS_FROM_GATEWAY"}}
OF_THEIR_OWN = {
    "BIND": "0.0.0.0",  # Compose publishes the gateway on 127.0.0.1 alone.
    "DEMO_USERS": "yes",
}
NAME = "app.kubernetes.io/name"


@pytest.fixture(scope="module", autouse=True)
def _kubectl() -> None:
    kubectl_or_skip()


@pytest.mark.parametrize("version", SCHEMAS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid_by_the_published_schemas(overlay: str, version: str) -> None:
    assert len(render(overlay)) > 40
    for manifest in render(overlay):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_name_that_a_pod_refers_to_is_there_or_is_a_secret(overlay: str) -> None:
    maps = {each["metadata"]["name"] for each in render(overlay) if each["kind"] == "ConfigMap"}
    for _, pod in pods_of(overlay):
        mounted = {each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each}
        told = {
            source["configMapRef"]["name"]
            for container in containers_of(pod)
            for source in container.get("envFrom", [])
        }
        assert mounted | told <= maps


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_satisfies_the_restricted_profile(overlay: str) -> None:
    """The Pod Security Standards' list, and a read-only root file system."""
    for name, pod in pods_of(overlay):
        spec, context = pod["spec"], pod["spec"]["securityContext"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        for volume in spec["volumes"]:
            assert volume.keys() - {"name"} <= VOLUMES, name
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"sysctls", "windowsOptions", "seLinuxOptions"} & context.keys(), name
        assert spec["automountServiceAccountToken"] is False, name
        for container in containers_of(pod):
            own = container["securityContext"]
            assert own.keys() <= {
                "allowPrivilegeEscalation",
                "capabilities",
                "readOnlyRootFilesystem",
                "runAsUser",
                "runAsGroup",
            }
            assert own["allowPrivilegeEscalation"] is False, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert own.get("runAsUser", context.get("runAsUser", 0)) > 0, name
            assert not any("hostPort" in port for port in container.get("ports", [])), name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", [*SERVICES, "gateway"])
def test_what_answers_calls_is_probed_drained_spread_scaled_and_not_all_taken_away_at_once(
    overlay: str, name: str
) -> None:
    deployment = find(overlay, "Deployment", name)
    labels = {NAME: name, "app.kubernetes.io/component": "server"}
    pod = deployment["spec"]["template"]
    container = pod["spec"]["containers"][0]
    port = 8080 if name == "gateway" else 5000
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert {"readinessProbe", "livenessProbe"} <= container.keys()
    drained = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    # The DNS keeps an answer for 5 s in Kubernetes, and the gateway for 2.
    assert drained > 7
    # What is under way has the 10 s that the design gives it.
    assert pod["spec"]["terminationGracePeriodSeconds"] >= drained + 10
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    for selected in (
        deployment["spec"]["selector"]["matchLabels"],
        find(overlay, "Service", name)["spec"]["selector"],
        find(overlay, "PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in pod["spec"]["topologySpreadConstraints"]),
    ):
        assert selected == labels
    assert labels.items() <= pod["metadata"]["labels"].items()
    assert "replicas" not in deployment["spec"]  # It belongs to the autoscaler alone.
    scaler = find(overlay, "HorizontalPodAutoscaler", name)["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert scaler["minReplicas"] >= 2


def test_health_is_asked_for_as_with_compose() -> None:
    for part, pod, composed in parts_of_both():
        container = pod["spec"]["containers"][0]
        if part in SERVICES:
            # The image's own healthcheck asks for it, too.
            assert 'request("GET", "/healthz")' in (ROOT / "shared" / "healthcheck.py").read_text()
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
        elif "healthcheck" in composed:
            assert container["readinessProbe"]["exec"]["command"] == composed["healthcheck"]["test"][1:]


@pytest.mark.parametrize("service", SERVICES)
def test_a_step_is_no_replica(service: str) -> None:
    job = find("development", "Job", f"{service.removesuffix('-service')}-migration")
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "step"


def shorten(told: dict[str, str]) -> dict[str, str]:
    """Return the settings that are made, with short names of hosts and no breaks of lines."""
    return {name: " ".join(value.replace(FULL_NAME, "").split()) for name, value in told.items() if value}


def parts_of_both() -> Iterable[tuple[str, Manifest, dict[str, Any]]]:
    """Return what runs both with Compose and on Kubernetes: its name, its pod, its service there."""
    compose = read_compose()
    for name, pod in pods_of("development"):
        part = name.partition(" ")[2]
        yield part, pod, compose[part]


def test_kubernetes_runs_what_compose_runs() -> None:
    kept = {part for part, *_ in parts_of_both()}
    # There secrets are made by hand, and the books are looked over from outside.
    assert read_compose().keys() - kept <= {"secrets", "audit", "prometheus"}


def test_every_part_has_the_same_settings_as_with_compose() -> None:
    for part, pod, composed in parts_of_both():
        told = shorten(environment_of("development", pod["spec"]["containers"][0]))
        wanted = shorten(composed.get("environment", {}))
        if part == "gateway":
            wanted["GATEWAY_RESOLVER"] = f"kube-dns.kube-system{FULL_NAME.removeprefix('.shopfleet')}"
        for name in ELSEWHERE.get(part.replace("migration", "service"), set()):
            del wanted[name]
        assert {name: value for name, value in told.items() if name not in OF_THEIR_OWN} == {
            name: value for name, value in wanted.items() if name not in OF_THEIR_OWN
        }, part
        assert told.get("BIND", "0.0.0.0") == OF_THEIR_OWN["BIND"]


def test_the_replica_that_reads_the_gateways_records_has_the_settings_of_logs_service_with_compose() -> None:
    [reader] = find("development", "Deployment", "gateway")["spec"]["template"]["spec"]["initContainers"]
    told = shorten(environment_of("development", reader))
    wanted = shorten(read_compose()["logs-service"]["environment"])
    assert {**told, "BIND": ""} == {**wanted, "BIND": ""}


def test_every_part_runs_the_same_program_as_the_same_user_with_the_same_folders_as_with_compose() -> None:
    for part, pod, composed in parts_of_both():
        container = pod["spec"]["containers"][0]
        image = container["image"].removesuffix(":latest")
        assert image == composed["image"] or part == "gateway", part
        assert container.get("args") == composed["command"], part
        if part == "gateway":
            assert composed["user"] == f"{container['securityContext']['runAsUser']}:101"
        mounts = {each["mountPath"] for each in container["volumeMounts"]}
        folders = {each.partition(":")[0] for each in composed["tmpfs"]}
        volumes = {
            each["target"]
            for each in composed["volumes"]
            if each["type"] == "volume" and (part, each["target"]) != ("logs-service", "/records")
        }
        steps_share_a_template = {"/spool"} if part.endswith("-migration") else set()
        assert folders | volumes <= mounts, part
        for path in mounts - folders - volumes - steps_share_a_template:
            assert part == "gateway" or path == "/dev/shm", path  # noqa: S108


def test_the_gateway_has_every_file_of_its_configuration_where_compose_puts_it() -> None:
    pod = find("development", "Deployment", "gateway")["spec"]["template"]["spec"]
    maps = {each["name"]: each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each}
    found: dict[str, str] = {}
    for mount in pod["containers"][0]["volumeMounts"]:
        if mount["name"] in maps and "subPath" not in mount:
            data = find("development", "ConfigMap", maps[mount["name"]])["data"]
            found |= {f"{mount['mountPath']}/{name}": contents for name, contents in data.items()}
    # A file that is missing here belongs into gateway/kustomization.yaml.
    assert found == {
        f"/gateway/{file.relative_to(ROOT / 'gateway')}": file.read_text()
        for folder in ("templates", "snippets", "entrypoint")
        for file in (ROOT / "gateway" / folder).iterdir()
    }
    mounted = {
        mount["mountPath"]: f"/gateway/entrypoint/{mount['subPath']}"
        for mount in pod["containers"][0]["volumeMounts"]
        if "subPath" in mount
    }
    assert mounted == {
        each["target"]: f"/gateway/{Path(each['source']).relative_to(ROOT / 'gateway')}"
        for each in read_compose()["gateway"]["volumes"]
        if each["target"].startswith("/docker-entrypoint.d/")
    }


def doors_of(overlay: str) -> set[tuple[str, str, int]]:
    """Return the calls within the namespace that the policies allow: from, to, port."""
    allowed = set()
    for policy in [each for each in render(overlay) if each["kind"] == "NetworkPolicy"]:
        for rule in policy["spec"].get("ingress", []):
            target = policy["spec"]["podSelector"]["matchLabels"][NAME]
            [port] = rule["ports"]
            sources = ["anybody"]
            if "from" in rule:
                [peer] = rule["from"]
                [expression] = peer["podSelector"]["matchExpressions"]
                assert (expression["key"], expression["operator"]) == (NAME, "In")
                sources = expression["values"]
            allowed |= {(source, target, port["port"]) for source in sources}
    return allowed


def calls_of_compose() -> set[tuple[str, str, int]]:
    """Return the calls that docker-compose.yml tells its parts to make."""
    compose = read_compose()
    made = {("anybody", "gateway", compose["gateway"]["ports"][0]["target"])}
    for part, service in compose.items():
        # A step has the doors of its service.
        caller = re.sub("-migration$", "-service", part)
        for value in service.get("environment", {}).values():
            for address in re.findall(r"(?:@|://|server )([a-z-]+:\d+)", value):
                target, _, port = address.partition(":")
                if target in compose and caller not in {"audit", "prometheus"}:
                    made.add((caller, target, int(port)))
    # It has one of logs-service beside it, which is there for its records.
    return made | {("gateway", "postgres", 5432)}


def test_the_policies_allow_exactly_the_calls_that_compose_wires() -> None:
    assert doors_of("development") == calls_of_compose()
    without = {call for call in calls_of_compose() if call[1] != "postgres"}
    assert doors_of("production") == without


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_allowed_unless_a_policy_says_so_and_little_leads_outside(overlay: str) -> None:
    policies = [each["spec"] for each in render(overlay) if each["kind"] == "NetworkPolicy"]
    [default] = [each for each in policies if each["podSelector"] == {}]
    assert set(default["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in default
    inside, dns = default["egress"]
    assert inside == {"to": [{"podSelector": {}}]}
    assert {each["port"] for each in dns["ports"]} == {53}
    outward = {
        (tuple(each["podSelector"]["matchExpressions"][0]["values"]), rule["ports"][0]["port"])
        for each in policies
        if each != default
        for rule in each.get("egress", [])
    }
    databases = (*SERVICES, "gateway")
    assert outward == (
        {(databases, 5432), (("catalog-service", "payments-service"), 443)}
        if overlay == "production"
        else set()
    )


def test_production_refuses_what_is_only_for_development() -> None:
    for service in SERVICES:
        [container] = find("production", "Deployment", service)["spec"]["template"]["spec"]["containers"]
        told = environment_of("production", container)
        assert told["SHOPFLEET_ENV"] == "production"
        assert told["PUBLIC_URL"].startswith("https://")
        assert "sslmode=require" in told["DATABASE_URL"]
        assert not told.get("DEMO_USERS")
        assert not container["image"].endswith(":latest")
        # The gateway reads the same cookie and serves the same host.
        [gateway] = find("production", "Deployment", "gateway")["spec"]["template"]["spec"]["containers"]
        for name in ("SHOPFLEET_ENV", "PUBLIC_URL"):
            assert environment_of("production", gateway)[name] == told[name]
    assert "StatefulSet" not in {each["kind"] for each in render("production")}
