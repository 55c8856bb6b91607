"""The Serve config file that the command writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.conftest import Run

CHECK = """
import sys, yaml
from ray.serve.schema import ServeDeploySchema
schema = ServeDeploySchema.model_validate(yaml.safe_load(open(sys.argv[1])))
[deployment] = schema.applications[0].deployments
print(deployment.max_queued_requests, deployment.autoscaling_config["max_replicas"], schema.http_options.port)
"""


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LERENET_DATABASE_URL", raising=False)


def written(run: Run, *words: object) -> dict[str, Any]:
    result = run("scaleout", "--out", "serve.yaml", *words)
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = yaml.safe_load(Path("serve.yaml").read_text(encoding="utf-8"))
    return document


def variables(document: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = document["applications"][0]["runtime_env"]["env_vars"]
    return found


def test_ray_accepts_the_file(run: Run) -> None:
    written(run, "--min-replicas", 2, "--max-replicas", 6, "--port", 9000)

    done = subprocess.run(
        [sys.executable, "-c", CHECK, "serve.yaml"], capture_output=True, text=True, check=True, timeout=240
    )

    assert done.stdout.split() == ["64", "6", "9000"]


def test_a_replica_has_a_gpu_by_default(run: Run) -> None:
    document = written(run)

    [deployment] = document["applications"][0]["deployments"]
    assert deployment["ray_actor_options"] == {"num_cpus": 2, "num_gpus": 1.0}
    assert variables(document)["LERENET_DEVICE"] == "cuda"


def test_a_replica_on_the_cpu_uses_the_cpus_it_is_given(run: Run) -> None:
    document = written(run, "--gpus", 0, "--cpus", 3)

    assert (variables(document)["LERENET_DEVICE"], variables(document)["LERENET_THREADS"]) == ("cpu", "3")


def test_a_password_in_the_environment_stays_out_of_the_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_DATABASE_URL", "postgresql://lerenet:hunter2@db/lerenet")

    document = written(run)

    assert variables(document)["LERENET_DATABASE_URL"] == "${LERENET_DATABASE_URL}"
    assert "hunter2" not in Path("serve.yaml").read_text(encoding="utf-8")


def test_a_database_that_is_named_stands_in_the_file(run: Run) -> None:
    assert variables(written(run, "--database-url", "postgresql://db/x"))["LERENET_DATABASE_URL"] == "postgresql://db/x"


def test_several_replicas_without_a_database_are_told_to_stay_together(run: Run) -> None:
    assert "one host" in run("scaleout", "--max-replicas", 2).stderr


def test_settings_reach_the_replicas_with_the_bounds_that_follow(run: Run) -> None:
    document = written(run, "--set", "MAX_BATCH_IMAGES=4", "--set", "LERENET_DRAIN_S=7.5")

    [deployment] = document["applications"][0]["deployments"]
    assert variables(document)["LERENET_MAX_BATCH_IMAGES"] == "4"
    assert deployment["autoscaling_config"]["target_ongoing_requests"] == 4
    assert deployment["graceful_shutdown_timeout_s"] == 12.5


@pytest.mark.parametrize("pair", ["MISSPELT=1", "DRAIN_S", "DRAIN_S=soon", "HTTP_PROCESSES=4"])
def test_a_setting_that_cannot_be_is_refused(run: Run, pair: str) -> None:
    result = run("scaleout", "--set", pair)

    assert result.exit_code != 0
    assert not Path("lerenet-serve.yaml").exists()
