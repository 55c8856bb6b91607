from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import tiny_network
from cli.conftest import Run
from lerenet.network.weights import save_weights, weights_digest


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_weights(tiny_network(), path)
    return path


def test_evaluate_writes_the_report_it_prints(run: Run, bars: Path, weights: Path, tmp_path: Path) -> None:
    words = ("--shots", "1", "--seeds", 2, "--draws", 1, "--note", "tuning", "--device", "cpu")
    result = run("evaluate", "--data", bars, "--weights", weights, *words, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "1-shot (tuning)" in result.output
    assert "dense matching" in result.output
    document = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert (document["config"]["n_seeds"], document["config"]["max_queries"]) == (2, 60)
    assert document["conditions"]["weights_digest"] == weights_digest(weights)
    assert (tmp_path / "out/overlays/bars.png").exists()


def test_evaluate_names_a_class_that_is_not_there(run: Run, bars: Path, weights: Path) -> None:
    result = run("evaluate", "--data", bars, "--weights", weights, "--classes", "dents")
    assert result.exit_code == 1
    assert "holds no class 'dents'" in result.stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--shots", "one"), 2),
        (("--threshold", "low"), 2),
        (("--shots", "0"), 1),
        (("--label-rule", "bright"), 1),
        (("--precision", "half"), 1),
    ],
)
def test_evaluate_refuses_what_cannot_be_measured(
    run: Run, bars: Path, weights: Path, words: tuple[str, str], status: int
) -> None:
    assert run("evaluate", "--data", bars, "--weights", weights, *words).exit_code == status
