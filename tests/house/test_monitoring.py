"""Dashboard, alert rules and compose files speak of what the service really shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.plates import form, image_part, plate_png, register
from lerenet.api import create_app
from lerenet.api.errors import problem_codes
from lerenet.settings import Settings
from serving import AppClient

DOCKER = Path(__file__).parents[2] / "docker"
DASHBOARD = DOCKER / "grafana/dashboards/lerenet.json"
ALERTS = DOCKER / "prometheus/alerts.yaml"
NAME = re.compile(r"\b(?:lerenet|process)_[a-z_]+\b")
PROMTOOL = shutil.which("promtool")


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def expressions(part: Any) -> Iterator[str]:
    """Every query of a dashboard, wherever it stands."""
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key in ("expr", "query") and isinstance(value, str))
        for value in part.values():
            yield from expressions(value)
    elif isinstance(part, list):
        for value in part:
            yield from expressions(value)


def queries() -> list[str]:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [*(rule["expr"] for rule in alerts()), *expressions(dashboard)]


async def shown(client: AppClient) -> set[str]:
    """Names of all series that a service at work shows, device memory apart, which the CPU has none of."""
    await register(client)
    await client.post("/segment", **form(image_part(plate_png())))
    text = (await client.get("/metrics")).text
    return set(re.findall(r"^(\w+)[{ ]", text, re.MULTILINE)) | {"lerenet_device_memory_bytes"}


async def test_every_metric_that_is_looked_at_exists(client: AppClient) -> None:
    asked = {name for query in queries() for name in NAME.findall(query)}

    assert len(asked) > 20
    assert sorted(asked - await shown(client)) == []


async def test_every_label_that_is_looked_at_exists(client: AppClient) -> None:
    await register(client)
    text = (await client.get("/metrics")).text
    labels = set(re.findall(r'[{,](\w+)="', text)) | {"instance", "job", "kind", "le"}  # given by Prometheus, or CUDA's

    asked = {name for query in queries() for name in re.findall(r"[{,] ?(\w+)[=!]", query)}

    assert asked <= labels


def test_every_code_that_an_alert_waits_for_can_come() -> None:
    codes = {
        code
        for rule in alerts()
        for codes in re.findall(r'problems_total\{code=~?"([^"]+)"', rule["expr"])
        for code in codes.split("|")
    }

    assert codes
    assert codes <= problem_codes()


def test_every_route_that_is_looked_at_exists(settings: Settings) -> None:
    paths = set(create_app(settings).openapi()["paths"])
    routes = {
        route
        for query in queries()
        for routes in re.findall(r'route!?[=~]+"([^"]+)"', query)
        for route in routes.split("|")
    }

    assert routes >= {"/segment", "/livez"}
    assert routes <= paths


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "remedy"}
        assert rule["alert"].startswith("LERENet")


def test_panels_have_ids_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    taken = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_what_watches_starts_only_when_asked_for() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]

    assert {name for name, service in services.items() if "profiles" not in service} == {"lerenet"}
    mounts = [mount.split(":")[0] for service in services.values() for mount in service["volumes"]]
    assert all((DOCKER / mount).exists() for mount in mounts if mount.startswith("."))


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    "check",
    [
        ("check", "config", "prometheus.yaml"),
        ("check", "rules", "alerts.yaml"),
        ("test", "rules", "alerts_test.yaml"),
    ],
    ids=" ".join,
)
def test_promtool_accepts_rules_and_configuration(check: tuple[str, ...]) -> None:
    assert PROMTOOL is not None

    done = subprocess.run([PROMTOOL, *check], cwd=ALERTS.parent, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
