from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import tiny_network
from cli.conftest import Run
from folders import write_benchmark
from lerenet.datasets.benchmarks import find_benchmark
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


@pytest.fixture(scope="module")
def steel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FSSD-12 with 2 pairs a class, read only."""
    root = tmp_path_factory.mktemp("fssd")
    write_benchmark(root, find_benchmark("fssd-12"), 2)
    return root


def test_evaluate_on_a_benchmark_follows_the_authors(run: Run, steel: Path, weights: Path, tmp_path: Path) -> None:
    words = ("--benchmark", "fssd-12", "--root", steel, "--fold", 1, "--shots", "1", "--device", "cpu")
    result = run("evaluate", *words, "--weights", weights, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "FSSD-12, fold 1, 1-shot" in result.output
    assert "label rule eq255: 0 of 8 queries mark nothing under it" in result.output
    document = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert document["conditions"]["checkpoint chosen"].startswith("unknown")


def test_evaluate_on_a_benchmark_runs_the_clean_protocol(run: Run, steel: Path, weights: Path, tmp_path: Path) -> None:
    words = ("--benchmark", "fssd-12", "--root", steel, "--protocol", "clean", "--shots", "1", "--device", "cpu")
    result = run("evaluate", *words, "--seeds", 1, "--draws", 1, "--weights", weights, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "1-shot (clean protocol)" in result.output
    document = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert document["config"]["label_rule"] == "eq255"
    assert document["conditions"]["protocol"].startswith("clean")


def test_evaluate_on_a_benchmark_names_every_fault(run: Run, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    words = ("--benchmark", "surface-defects-4i", "--root", tmp_path / "empty", "--out", tmp_path / "out")
    result = run("evaluate", *words, "--weights", weights)
    assert result.exit_code == 1
    assert result.stderr.count("fault: ") == 12
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), 2),
        (("--benchmark", "fssd-12"), 2),
        (("--benchmark", "fssd-12", "--root", ".", "--protocol", "loose"), 1),
        (("--benchmark", "pascal", "--root", "."), 1),
    ],
)
def test_evaluate_refuses_a_benchmark_half_named(run: Run, weights: Path, words: tuple[str, ...], status: int) -> None:
    assert run("evaluate", *words, "--weights", weights).exit_code == status
