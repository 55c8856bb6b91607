"""The compose file of several replicas, as far as it can be checked without Docker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lerenet.bench.fleet.plan import max_connections
from lerenet.settings import PREFIX, Settings

DOCKER = Path(__file__).parents[2] / "docker"
TEXT = (DOCKER / "compose.scale.yaml").read_text(encoding="utf-8")


class Compose(yaml.SafeLoader):
    """Knows the tags that Compose adds to YAML."""


Compose.add_constructor("!reset", lambda loader, _: [])

SCALE: dict[str, Any] = yaml.load(TEXT, Compose)
BASE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = SCALE["services"]
REPLICAS = {name: service for name, service in SERVICES.items() if name.startswith("lerenet-")}


def limit(arguments: list[str]) -> int:
    [value] = re.findall(r"max_connections=(\d+)", " ".join(arguments))
    return int(value)


def test_every_variable_of_a_replica_is_a_setting() -> None:
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    for service in REPLICAS.values():
        names = service["environment"].keys() | BASE["services"]["lerenet"]["environment"].keys()
        assert {name for name in names if name.startswith(PREFIX)} <= known


def test_every_image_is_of_one_release() -> None:
    images = [service["image"] for service in [*SERVICES.values(), *BASE["services"].values()] if "image" in service]
    assert len(images) == 5
    assert all(re.fullmatch(r"[a-z/]+:v?\d[\d.]*", image) for image in images if image != "lerenet:latest")


def test_no_secret_has_a_default() -> None:
    asked = re.findall(r"\$\{(\w*PASSWORD\w*)([^}]*)\}", TEXT)
    assert len(asked) == 1 + len(re.findall("POSTGRES_PASSWORD: ", TEXT))
    assert all(rest.startswith(":?") for _, rest in asked)
    assert not re.search(r"://[^\s/@]+:[^\s/@]+@", TEXT)


@pytest.mark.parametrize("of", ["devices", "volumes"])
def test_no_two_replicas_share_a_device_or_a_data_folder(of: str) -> None:
    owned = [
        service["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"]
        if of == "devices"
        else [volume for volume in service["volumes"] if volume.endswith(":/data")]
        for service in REPLICAS.values()
    ]
    assert len(owned) == 2
    assert all(len(each) == 1 for each in owned)
    assert owned[0] != owned[1]


def test_replicas_stand_behind_the_proxy_and_are_watched() -> None:
    proxied = re.findall(r"^\s+server (\S+) (\S+):8000$", (DOCKER / "haproxy/haproxy.cfg").read_text(), re.MULTILINE)
    watched = yaml.safe_load((DOCKER / "prometheus/scale.yaml").read_text(encoding="utf-8"))["scrape_configs"]

    assert proxied == [(name, name) for name in REPLICAS]
    assert watched[0]["static_configs"][0]["targets"] == [f"{name}:8000" for name in REPLICAS]
    assert SERVICES["proxy"]["depends_on"] == list(REPLICAS)
    assert all(service["ports"] == [] for service in REPLICAS.values())


def test_what_is_mounted_and_extended_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DOCKER / source).exists() if source.startswith(".") else source in SCALE["volumes"]
        if "extends" in service:
            assert (
                service["extends"]["service"]
                in yaml.safe_load((DOCKER / service["extends"]["file"]).read_text())["services"]
            )


def test_databases_take_all_connections_of_their_replicas() -> None:
    [hpa] = yaml.safe_load_all((DOCKER / "kubernetes/hpa.yaml").read_text(encoding="utf-8"))
    pods = list(yaml.safe_load_all((DOCKER / "kubernetes/postgres.yaml").read_text(encoding="utf-8")))
    [container] = pods[1]["spec"]["template"]["spec"]["containers"]

    assert limit(SERVICES["postgres"]["command"]) >= max_connections(len(REPLICAS))
    assert limit(container["args"]) >= max_connections(hpa["spec"]["maxReplicas"])
