"""The Kubernetes manifests are valid, restricted and consistent with docker-compose.yml."""

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

SCHEMAS = ("1.31", "1.37")  # The oldest supported Kubernetes, and the newest with published schemas.
# Volume types that the `restricted` profile of the Pod Security Standards allows.
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
# On Kubernetes, replicas of logs-service in the gateway's pods read its records; with Compose all replicas
# do.
SET_ELSEWHERE = {"logs-service": {"RECORDS_FROM_GATEWAY"}}
DIFFERENT = {
    "BIND": "0.0.0.0",  # Compose publishes the gateway on 127.0.0.1 alone.
    "DEMO_USERS": "yes",
}
NAME = "app.kubernetes.io/name"


@pytest.fixture(scope="module", autouse=True)
def _kubectl() -> None:
    kubectl_or_skip()


@pytest.mark.parametrize("version", SCHEMAS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_manifest_is_valid_against_the_published_schemas(overlay: str, version: str) -> None:
    assert len(render(overlay)) > 40
    for manifest in render(overlay):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_config_map_that_a_pod_refers_to_exists(overlay: str) -> None:
    maps = {each["metadata"]["name"] for each in render(overlay) if each["kind"] == "ConfigMap"}
    for _, pod in pods_of(overlay):
        mounted = {each["configMap"]["name"] for each in pod["spec"]["volumes"] if "configMap" in each}
        environments = {
            source["configMapRef"]["name"]
            for container in containers_of(pod)
            for source in container.get("envFrom", [])
        }
        assert mounted | environments <= maps


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_satisfies_the_restricted_profile(overlay: str) -> None:
    """Also require a read-only root file system, which the Pod Security Standards do not."""
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
def test_every_server_is_probed_drained_spread_scaled_and_protected_from_disruption(
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
    # DNS responses are cached for 5 s in Kubernetes, and for 2 s in the gateway.
    assert drained > 7
    # Requests in progress get 10 s to finish.
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
    assert "replicas" not in deployment["spec"]  # Only the autoscaler sets it.
    scaler = find(overlay, "HorizontalPodAutoscaler", name)["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert scaler["minReplicas"] >= 2


def test_probes_match_the_health_checks_of_compose() -> None:
    for part, pod, composed in parts_of_both():
        container = pod["spec"]["containers"][0]
        if part in SERVICES:
            # The image's health check requests it, too.
            assert 'request("GET", "/healthz")' in (ROOT / "shared" / "healthcheck.py").read_text()
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
        elif "healthcheck" in composed:
            assert container["readinessProbe"]["exec"]["command"] == composed["healthcheck"]["test"][1:]


@pytest.mark.parametrize("service", SERVICES)
def test_the_pod_of_a_migration_is_not_selected_as_a_replica(service: str) -> None:
    job = find("development", "Job", f"{service.removesuffix('-service')}-migration")
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "step"


def normalize(environment: dict[str, str]) -> dict[str, str]:
    """Return all non-empty settings, with short host names and without line breaks."""
    return {
        name: " ".join(value.replace(FULL_NAME, "").split()) for name, value in environment.items() if value
    }


def parts_of_both() -> Iterable[tuple[str, Manifest, dict[str, Any]]]:
    """Yield the name, the pod template and the Compose service of every part."""
    compose = read_compose()
    for name, pod in pods_of("development"):
        part = name.partition(" ")[2]
        yield part, pod, compose[part]


def test_kubernetes_runs_what_compose_runs() -> None:
    deployed = {part for part, *_ in parts_of_both()}
    # On Kubernetes an operator creates the secrets, and the audit runs from outside.
    assert read_compose().keys() - deployed <= {"secrets", "audit", "prometheus"}


def test_every_part_has_the_same_settings_as_with_compose() -> None:
    for part, pod, composed in parts_of_both():
        settings = normalize(environment_of("development", pod["spec"]["containers"][0]))
        wanted = normalize(composed.get("environment", {}))
        if part == "gateway":
            wanted["GATEWAY_RESOLVER"] = f"kube-dns.kube-system{FULL_NAME.removeprefix('.shopfleet')}"
        for name in SET_ELSEWHERE.get(part.replace("migration", "service"), set()):
            del wanted[name]
        assert {name: value for name, value in settings.items() if name not in DIFFERENT} == {
            name: value for name, value in wanted.items() if name not in DIFFERENT
        }, part
        assert settings.get("BIND", "0.0.0.0") == DIFFERENT["BIND"]


def test_the_reader_of_the_gateways_records_has_the_settings_of_logs_service() -> None:
    [reader] = find("development", "Deployment", "gateway")["spec"]["template"]["spec"]["initContainers"]
    settings = normalize(environment_of("development", reader))
    wanted = normalize(read_compose()["logs-service"]["environment"])
    assert {**settings, "BIND": ""} == {**wanted, "BIND": ""}


def test_every_part_has_the_same_program_user_and_folders_as_with_compose() -> None:
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
        unused_by_migrations = {"/spool"} if part.endswith("-migration") else set()
        assert folders | volumes <= mounts, part
        for path in mounts - folders - volumes - unused_by_migrations:
            assert part == "gateway" or path == "/dev/shm", path  # noqa: S108


def test_the_gateway_has_all_configuration_files_at_the_same_paths_as_with_compose() -> None:
    pod = find("development", "Deployment", "gateway")["spec"]["template"]["spec"]
    maps = {each["name"]: each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each}
    found: dict[str, str] = {}
    for mount in pod["containers"][0]["volumeMounts"]:
        if mount["name"] in maps and "subPath" not in mount:
            data = find("development", "ConfigMap", maps[mount["name"]])["data"]
            found |= {f"{mount['mountPath']}/{name}": contents for name, contents in data.items()}
    # If a file is missing here, add it to gateway/kustomization.yaml.
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


def allowed_calls_of(overlay: str) -> set[tuple[str, str, int]]:
    """Return the calls that the network policies allow within the namespace: source, target, port."""
    allowed = set()
    for policy in [each for each in render(overlay) if each["kind"] == "NetworkPolicy"]:
        for rule in policy["spec"].get("ingress", []):
            target = policy["spec"]["podSelector"]["matchLabels"][NAME]
            [port] = rule["ports"]
            sources = ["any"]
            if "from" in rule:
                [peer] = rule["from"]
                [expression] = peer["podSelector"]["matchExpressions"]
                assert (expression["key"], expression["operator"]) == (NAME, "In")
                sources = expression["values"]
            allowed |= {(source, target, port["port"]) for source in sources}
    return allowed


def calls_of_compose() -> set[tuple[str, str, int]]:
    """Return the calls that docker-compose.yml configures: source, target, port."""
    compose = read_compose()
    made = {("any", "gateway", compose["gateway"]["ports"][0]["target"])}
    for part, service in compose.items():
        # A migration may make the calls of its service.
        caller = re.sub("-migration$", "-service", part)
        for value in service.get("environment", {}).values():
            for address in re.findall(r"(?:@|://|server )([a-z-]+:\d+)", value):
                target, _, port = address.partition(":")
                if target in compose and caller not in {"audit", "prometheus"}:
                    made.add((caller, target, int(port)))
    # The gateway's pods also run a logs-service, which stores the gateway's records.
    return made | {("gateway", "postgres", 5432)}


def test_network_policies_allow_exactly_the_calls_that_compose_configures() -> None:
    assert allowed_calls_of("development") == calls_of_compose()
    without = {call for call in calls_of_compose() if call[1] != "postgres"}
    assert allowed_calls_of("production") == without


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_network_policies_deny_by_default_and_allow_little_outgoing_traffic(overlay: str) -> None:
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
        {(databases, 5432), (("catalog-service", "orders-service", "payments-service"), 443)}
        if overlay == "production"
        else set()
    )


def test_production_has_no_development_settings() -> None:
    for service in SERVICES:
        [container] = find("production", "Deployment", service)["spec"]["template"]["spec"]["containers"]
        settings = environment_of("production", container)
        assert settings["SHOPFLEET_ENV"] == "production"
        assert settings["PUBLIC_URL"].startswith("https://")
        assert "sslmode=require" in settings["DATABASE_URL"]
        assert not settings.get("DEMO_USERS")
        assert not container["image"].endswith(":latest")
        # The gateway reads the same cookie and serves the same host.
        [gateway] = find("production", "Deployment", "gateway")["spec"]["template"]["spec"]["containers"]
        for name in ("SHOPFLEET_ENV", "PUBLIC_URL"):
            assert environment_of("production", gateway)[name] == settings[name]
    assert "StatefulSet" not in {each["kind"] for each in render("production")}
