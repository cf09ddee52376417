"""What deploy/ ships for many machines fits together, and its Redis is one that letterbox takes."""

import os
import re
import sys
import tomllib
from pathlib import Path
from subprocess import run
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from letterbox.configuration import load
from letterbox.gateways.http import routes
from letterbox.model.configuration import Configuration
from tests.support.programs import program
from tests.support.tls import make_chain

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
MANY = DEPLOY / "many"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
#: The oldest that kustomization.yaml names, and the newest whose schemas are here.
API_VERSIONS = ("1.33.0", kubernetes_validate.latest_version())
PINNED = re.compile(r"[a-z0-9./-]+:v?[0-9]+\.[0-9]+\.[0-9]+")
DRAIN = 20
ROLES = ("gateway", "worker", "web")


def objects(*kinds: str) -> list[dict[str, Any]]:
    """What the manifests declare, of the named kinds or all."""
    files = sorted(KUBERNETES.glob("*.yaml"))
    found = [
        document
        for file in files
        if file.name != "kustomization.yaml"
        for document in yaml.safe_load_all(file.read_text())
    ]
    return [each for each in found if not kinds or each["kind"] in kinds]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in objects(kind) if each["metadata"]["name"] == name]
    return found


def pods() -> dict[str, dict[str, Any]]:
    """The pod of each workload, by its name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]
        for each in objects("Deployment", "StatefulSet", "Job")
    }


def container(template: dict[str, Any]) -> dict[str, Any]:
    (only,) = template["spec"]["containers"]
    return only


def configuration(folder: Path) -> Configuration:
    return msgspec.toml.decode((folder / "letterbox.toml").read_bytes(), type=Configuration)


def port(listen: str) -> int:
    return int(listen.rpartition(":")[2])


# ---- Kubernetes -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", API_VERSIONS)
def test_every_manifest_is_one_that_the_api_takes(version):
    for each in objects():
        kubernetes_validate.validate(each, version, strict=True)


def test_a_mistake_in_a_manifest_would_be_seen():
    broken = named("Deployment", "letterbox-gateway")
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriod"):
        kubernetes_validate.validate(broken, API_VERSIONS[0], strict=True)


def test_the_kustomization_names_every_file_and_nothing_else():
    whole = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())
    there = {file.name for file in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(whole["resources"]) == there
    files = [file for each in whole["configMapGenerator"] for file in each["files"]]
    assert [file for file in files if not (KUBERNETES / file).is_file()] == []
    generated = {each["name"] for each in whole["configMapGenerator"]}
    used = {
        volume["configMap"]["name"]
        for pod in pods().values()
        for volume in pod["spec"]["volumes"]
        if "configMap" in volume
    }
    assert used == generated
    assert whole["images"] == [{"name": "letterbox", "newTag": VERSION}]


def test_the_component_changes_what_is_there():
    text = yaml.safe_load((KUBERNETES / "proxy-protocol" / "kustomization.yaml").read_text())
    patches = {each["target"]["kind"]: yaml.safe_load(each["patch"]) for each in text["patches"]}
    (added,) = patches["Deployment"]
    assert added["path"] == "/spec/template/spec/containers/0/env/-"
    (peer,) = msgspec.json.decode(added["value"]["value"])
    assert peer["client"] == "proxy"
    service = named("Service", "letterbox-gateway")["spec"]
    (policy,) = patches["Service"]
    assert policy["path"].removeprefix("/spec/") in service


def test_selectors_find_the_pods_they_mean():
    labels = {name: pod["metadata"]["labels"] for name, pod in pods().items()}
    for each in objects("Deployment", "StatefulSet"):
        name = each["metadata"]["name"]
        assert each["spec"]["selector"]["matchLabels"] == labels[name]
    for each in objects("Service"):
        assert each["spec"]["selector"] == labels[each["metadata"]["name"]]
    budgets = {each["metadata"]["name"]: each["spec"] for each in objects("PodDisruptionBudget")}
    assert set(budgets) == {"redis", *(f"letterbox-{role}" for role in ROLES)}
    for name, budget in budgets.items():
        assert budget["selector"]["matchLabels"] == labels[name]
    for each in objects("NetworkPolicy"):
        wanted = each["spec"]["podSelector"].get("matchLabels", {})
        assert any(wanted.items() <= found.items() for found in labels.values())
    scaled = named("HorizontalPodAutoscaler", "letterbox-gateway")["spec"]["scaleTargetRef"]
    gateway = named(scaled["kind"], scaled["name"])
    # Two would set it in turn.
    assert "replicas" not in gateway["spec"]


def test_ports_are_those_of_the_configuration_and_are_called_the_same_everywhere():
    shipped = configuration(KUBERNETES)
    listens = {
        "smtp": shipped.smtp.listen,
        "submission": shipped.submission.listen,
        "submissions": shipped.submission.listen_tls,
        "http": shipped.http.listen,
        "admin": shipped.admin.listen,
    }
    ports = {
        name: {each["name"]: each["containerPort"] for each in container(pod).get("ports", ())}
        for name, pod in pods().items()
    }
    wanted = {
        "gateway": {"smtp", "submission", "submissions", "admin"},
        "worker": {"admin"},
        "web": {"http", "admin"},
    }
    for role, names in wanted.items():
        expected = {name: port(listens[name]) for name in names}
        assert ports[f"letterbox-{role}"] == expected
    for each in objects("Service"):
        known = ports[each["metadata"]["name"]]
        assert {entry["targetPort"] for entry in each["spec"]["ports"]} <= set(known)
    every = {name for known in ports.values() for name in known}
    for policy in objects("NetworkPolicy"):
        for rule in policy["spec"].get("ingress", ()):
            assert {entry["port"] for entry in rule["ports"]} <= every


def test_probes_ask_for_pages_that_there_are():
    paths = {route.path for route in routes.OPERATIONS}
    for role in ROLES:
        only = container(pods()[f"letterbox-{role}"])
        for probe, path in {
            "startupProbe": "/healthz",
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }.items():
            assert only[probe]["httpGet"] == {"path": path, "port": "admin"}
            assert path in paths
        # How soon nobody is sent to it must be less than it goes on listening.
        assert only["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5


def test_there_is_time_to_finish_what_has_begun():
    for role in ROLES:
        pod = pods()[f"letterbox-{role}"]["spec"]
        before = container({"spec": pod})["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] >= max(30, before + DRAIN + 10)


def test_each_role_is_served_by_a_process_of_its_own():
    for role in ROLES:
        assert container(pods()[f"letterbox-{role}"])["args"] == ["serve", "--role", role]


def test_no_pod_may_do_more_than_it_must():
    assert "restricted" in named("Namespace", "letterbox")["metadata"]["labels"].values()
    for pod in pods().values():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        only = container(pod)
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(only["resources"]["requests"])
        assert "memory" in only["resources"]["limits"]
        mounted = {mount["name"] for mount in only["volumeMounts"]}
        claimed = {"data"} if only["name"] == "redis" else set()
        assert mounted == {volume["name"] for volume in spec["volumes"]} | claimed
    policies = objects("NetworkPolicy")
    everything = [each for each in policies if each["spec"]["podSelector"] == {}]
    assert [each["spec"] for each in everything] == [
        {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]


def test_secrets_are_named_and_never_written_down():
    assert objects("Secret") == []
    for pod in pods().values():
        for entry in container(pod).get("env", ()):
            if re.search(r"PASSWORD|SECRET|KEY|AUTH|URL", entry["name"]):
                assert set(entry["valueFrom"]) == {"secretKeyRef"}


def test_images_are_pinned():
    images = {container(pod)["image"] for pod in pods().values()}
    # The kustomization says which letterbox.
    assert [name for name in images - {"letterbox"} if not PINNED.fullmatch(name)] == []
    services = compose()["services"].values()
    assert [each["image"] for each in services if not PINNED.fullmatch(each["image"])] == []
    ours = [each["image"] for each in services if "build" in each]
    assert ours == [f"letterbox:{VERSION}"] * len(ROLES)


# ---- compose ----------------------------------------------------------------------------------


def compose() -> dict[str, Any]:
    return yaml.safe_load((MANY / "compose.yaml").read_text())


@pytest.mark.parametrize("file", ["compose.yaml", "many/compose.yaml"])
def test_compose_files_are_of_the_specification(file, tmp_path):
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = run([*check, str(DEPLOY / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "compose.yaml"
    broken.write_text((DEPLOY / file).read_text().replace("restart:", "restarts:"))
    done = run([*check, str(broken)], capture_output=True, text=True, check=False)
    assert "restarts" in done.stdout


def test_compose_mounts_files_and_volumes_that_exist():
    whole = compose()
    used = set()
    for service in whole["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source == "./tls":
                continue  # the operator's own certificate
            if source.startswith("."):
                assert (MANY / source).is_file(), source
            else:
                used.add(source)
    assert used == set(whole["volumes"])


def test_compose_takes_secrets_from_variables_that_the_example_names():
    text = (MANY / "compose.yaml").read_text()
    # `:?` stops it where one is missing.
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?", text))
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) == wanted
    assert len(wanted) == 5
    lines = (MANY / "example.env").read_text().splitlines()
    assert {line for line in lines if line and not line.startswith("#")} == {
        f"{name}=" for name in wanted
    }


def test_compose_shows_the_world_mail_alone():
    published = [
        port for service in compose()["services"].values() for port in service.get("ports", ())
    ]
    outside = [each for each in published if not each.startswith("127.0.0.1:")]
    assert outside == ["25:2525", "587:2587"]


def test_compose_stops_later_than_letterbox_does():
    for role in ROLES:
        service = compose()["services"][role]
        assert service["command"] == ["serve", "--role", role]
        assert int(service["stop_grace_period"].removesuffix("s")) > DRAIN


def test_the_balancer_and_letterbox_are_set_for_each_other():
    shipped = configuration(MANY)
    networks = compose()["services"]["balancer"]["networks"]
    address = networks["inside"]["ipv4_address"]
    assert [(peer.address, peer.client) for peer in shipped.smtp.trusted_peers] == [
        (address, "proxy")
    ]
    assert shipped.http.proxies == (address,)
    text = (MANY / "haproxy.cfg").read_text()
    sent = re.findall(r"server-template \w+ \d+ (\w+):(\d+)( send-proxy-v2)?", text)
    assert set(sent) == {
        ("gateway", str(port(shipped.smtp.listen)), " send-proxy-v2"),
        ("gateway", str(port(shipped.submission.listen)), " send-proxy-v2"),
        ("web", str(port(shipped.http.listen)), ""),
    }
    assert f"check port {port(shipped.admin.listen)} " in text


@pytest.mark.parametrize("folder", [KUBERNETES, MANY], ids=["kubernetes", "compose"])
def test_letterbox_takes_its_configuration(folder, tmp_path):
    chain = make_chain(tmp_path)
    text = (folder / "letterbox.toml").read_text()
    config = tmp_path / "letterbox.toml"
    config.write_text(re.sub(r"/etc/letterbox/tls/tls\.(crt|key)", str(chain), text))
    loaded = load(str(config), {"LETTERBOX__STORE__URL": "redis://redis-0.redis:6379"})
    assert loaded.hostname == "letterbox.example"


def test_bodies_go_to_the_bucket_that_the_object_storage_makes():
    bodies, storage = configuration(MANY).bodies, compose()["services"]["objects"]
    assert bodies.url == f"s3://{storage['environment']['GARAGE_DEFAULT_BUCKET']}"
    garage = tomllib.loads((MANY / "garage.toml").read_text())["s3_api"]
    assert bodies.endpoint == f"http://objects:{port(garage['api_bind_addr'])}"
    assert bodies.region == garage["s3_region"]
    # A message is acknowledged after its bytes are on the disk.
    assert "data_fsync = true" in (MANY / "garage.toml").read_text()
    assert configuration(KUBERNETES).bodies.url.startswith("s3://")


@pytest.mark.parametrize("folder", [KUBERNETES, MANY], ids=["kubernetes", "compose"])
def test_replicas_that_may_be_promoted_are_waited_for(folder):
    assert configuration(folder).store.replicas == 1


def test_haproxy_takes_the_balancers_configuration():
    haproxy = program("haproxy")
    command = [haproxy, "-c", "-f", str(MANY / "haproxy.cfg")]
    done = run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- Redis ------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["redis-create", "redis-meet"])
def test_scripts_can_be_read_by_their_shell(script):
    path = KUBERNETES / script
    assert os.access(path, os.X_OK)
    done = run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
