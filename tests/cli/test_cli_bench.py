"""The benchmark from end to end: a real service in a process of its own, on a tiny network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from typer.testing import CliRunner, Result

from lerenet.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path) -> Iterator[None]:
    monkeypatch.setenv("LERENET_WEIGHTS", str(tiny_weights))
    monkeypatch.setenv("LERENET_DEVICE", "cpu")
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


def test_a_service_is_measured_against_its_network_and_its_start_against_the_least_there_is(tmp_path: Path) -> None:
    result = run("bench", "latency", "start", "--seconds", 0.5, "--rounds", 1, "--out", tmp_path / "bench")

    assert result.exit_code in (0, 1), result.output  # 1: a bound, which a busy machine misses
    latency, start = json.loads((tmp_path / "bench/bench.json").read_text(encoding="utf-8"))["scenarios"]
    [row] = latency["rows"]
    assert row["frames/s"] > 0
    assert row["bare ms"] > 0
    assert set(row["answers"].split(":")[0]) == set("200")
    assert "over a bare forward pass" in result.output
    assert all(row["s"] > 0 for row in start["rows"])
    assert "over imports and weights" in result.output


def test_tuning_tells_settings_or_that_the_defaults_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lerenet.cli.bench._QUICK_S", 0.0)  # each figure once
    result = run("bench", "--tune", "--quick", "--out", tmp_path / "bench")

    assert result.exit_code == 0, result.output
    assert "batched ms" in result.output
    assert "set LERENET_" in result.output or "the defaults are as good" in result.output


def test_an_unknown_scenario_names_those_there_are() -> None:
    result = run("bench", "nothing")
    assert result.exit_code == 2
    assert "throughput" in result.output
