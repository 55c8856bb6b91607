"""The manifests are valid, and say what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.plates import form, image_part, plate_png, register
from lerenet.api import create_app
from lerenet.settings import PREFIX, Settings, load_settings
from serving import AppClient

FOLDER = Path(__file__).parents[2] / "docker/kubernetes"
VERSION = "1.33"
"""Of Kubernetes."""

OF_OTHERS = ("keda.sh/", "monitoring.coreos.com/", "kustomize.config.k8s.io/")
"""Kinds that Kubernetes itself does not know."""


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def manifests() -> list[dict[str, Any]]:
    found = [each for path in sorted(FOLDER.glob("*.yaml")) for each in documents(path.name)]
    return [each for each in found if "apiVersion" in each]


CORE = [each for each in manifests() if not each["apiVersion"].startswith(OF_OTHERS)]
[DEPLOYMENT] = documents("deployment.yaml")
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
PROBES = {kind: CONTAINER[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}


def default(field: str) -> Any:
    return Settings.model_fields[field].default


@pytest.mark.parametrize("manifest", CORE, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_a_manifest_is_valid(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_every_file_is_a_resource_or_named_as_none() -> None:
    [kustomization] = documents("kustomization.yaml")
    comment = (FOLDER / "kustomization.yaml").read_text(encoding="utf-8")
    listed = set(kustomization["resources"])

    assert all((FOLDER / name).exists() for name in listed)
    for path in FOLDER.glob("*.yaml"):
        assert path.name in listed or path.name in comment or path.name in ("kustomization.yaml", ADAPTER)


ADAPTER = "prometheus-adapter-rules.yaml"


def test_probes_ask_routes_that_exist(settings: Settings) -> None:
    paths = set(create_app(settings).openapi()["paths"])
    assert {probe["httpGet"]["path"] for probe in PROBES.values()} == {"/livez", "/readyz"} & paths


def test_the_service_has_twice_its_drain_before_it_is_killed() -> None:
    [config] = documents("configmap.yaml")
    delay_s, drain_s = (float(config["data"][f"LERENET_DRAIN_{name}"]) for name in ("DELAY_S", "S"))
    assert delay_s >= 10
    assert POD["terminationGracePeriodSeconds"] > delay_s + 2 * drain_s


def test_a_slow_start_is_no_death() -> None:
    startup = PROBES["startup"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 180
    assert DEPLOYMENT["spec"]["progressDeadlineSeconds"] > startup["periodSeconds"] * startup["failureThreshold"]


def test_every_variable_is_a_setting_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    [config] = documents("configmap.yaml")
    names = {*config["data"], *(each["name"] for each in CONTAINER["env"])}
    ours = {name for name in names if name.startswith(PREFIX)} - {"LERENET_DATABASE_URL"}

    assert ours <= {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    for name, value in config["data"].items():
        monkeypatch.setenv(name, value)
    assert load_settings().max_classes == 10_000


def test_a_service_of_our_name_sets_no_port() -> None:
    assert POD["enableServiceLinks"] is False


def test_the_pod_may_do_nothing_but_its_work() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {each["mountPath"] for each in CONTAINER["volumeMounts"]} == {"/data", "/tmp", "/keys"}
    assert CONTAINER["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_secret_holds_none() -> None:
    [secret] = documents("secret.yaml")
    assert secret["stringData"].pop("LERENET_DATABASE_URL").count(":") == 2  # of the scheme and the port: no password
    assert set(secret["stringData"].values()) == {""}


def test_selectors_find_the_pods() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    [service], [budget], [policy], [monitor] = map(
        documents, ("service.yaml", "poddisruptionbudget.yaml", "networkpolicy.yaml", "podmonitor.yaml")
    )
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        budget["spec"]["selector"]["matchLabels"],
        policy["spec"]["podSelector"]["matchLabels"],
        monitor["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)


async def test_autoscalers_look_at_metrics_that_exist(client: AppClient) -> None:
    await register(client)
    await client.post("/segment", **form(image_part(plate_png())))
    text = (await client.get("/metrics")).text
    asked = {
        name
        for file in ("hpa.yaml", "keda.yaml", ADAPTER)
        for name in re.findall(r"lerenet_[a-z_]+", json.dumps(documents(file)))
    }

    assert asked == {"lerenet_queue_depth"}
    assert re.search(r"^lerenet_queue_depth ", text, re.MULTILINE)


def test_autoscalers_agree() -> None:
    [hpa], [keda] = documents("hpa.yaml"), documents("keda.yaml")
    threshold = hpa["spec"]["metrics"][0]["pods"]["target"]["averageValue"]

    assert threshold == keda["spec"]["triggers"][0]["metadata"]["threshold"] == str(default("max_batch_images"))
    assert (hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]) == (
        keda["spec"]["minReplicaCount"],
        keda["spec"]["maxReplicaCount"],
    )
