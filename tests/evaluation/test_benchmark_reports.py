from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from builders import tiny_network
from folders import write_benchmark
from lerenet.datasets.benchmarks import BenchmarkFold, find_benchmark, open_fold
from lerenet.evaluation.benchmarks import (
    any_size_segmenter,
    describe_selection,
    measure_as_authors,
    measure_clean,
    trained_size_px,
    write_benchmark_report,
)
from lerenet.evaluation.protocol import EvaluationConfig
from lerenet.imaging import ImageLimits, Shot
from lerenet.inference.segmenter import SegmentationJob
from lerenet.network import PAPER_VGG, build_lerenet
from lerenet.training.benchmark.episodes import EpisodeForm

_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def fold(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkFold:
    root = tmp_path_factory.mktemp("fssd")
    benchmark = find_benchmark("fssd-12")
    write_benchmark(root, benchmark, 3, 2)
    return open_fold(benchmark, root, 0, 1, "eq255", ImageLimits())


def _write_facts(folder: Path, **plan: object) -> Path:
    document = {"plan": {"benchmark": "fssd-12", "fold": 0, "size_px": 64} | plan, "selected_on": {"Steel_Se": 3}}
    (folder / "benchmark.json").write_text(json.dumps(document), encoding="utf-8")
    return folder / "weights-best.safetensors"


def test_report_of_the_authors_protocol_says_what_made_it(fold: BenchmarkFold, tmp_path: Path) -> None:
    report = measure_as_authors(tiny_network(), fold, EpisodeForm(1, 48), _CPU, {"weights": "tiny"})
    write_benchmark_report(report, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (document["benchmark"], document["fold"], document["shots"]) == ("FSSD-12", 0, 1)
    assert document["label_rule"] == "eq255"
    assert document["protocol"].startswith("the authors'")
    assert document["conditions"] == {"weights": "tiny"}
    assert list(document["figures"]["class_iou"]) == ["Steel_Am", "Steel_Ia", "Steel_Ld", "Steel_Op"]
    assert document["figures"]["n_queries"] == 12


def test_paper_preset_is_measured_by_both_protocols(fold: BenchmarkFold) -> None:
    torch.manual_seed(0)
    network = build_lerenet(PAPER_VGG).eval()
    report = measure_as_authors(network, fold, EpisodeForm(1, 40), _CPU, {})
    assert 0 <= report.figures.miou <= 1
    config = EvaluationConfig(shots=(1,), n_seeds=1, n_draws=1, max_queries=1, max_normals=1, label_rule="eq255")
    clean = measure_clean(network, fold, config, _CPU, {"weights": "paper"})
    assert [result.name for result in clean.results] == ["LERENet"]
    assert clean.conditions["protocol"].startswith("clean")
    assert clean.conditions["benchmark"] == "FSSD-12, fold 0"


def test_clean_protocol_draws_several_support_sets(fold: BenchmarkFold) -> None:
    config = EvaluationConfig(shots=(1,), n_seeds=1, n_draws=2, max_queries=1, max_normals=1, label_rule="eq255")
    report = measure_clean(tiny_network(), fold, config, _CPU, {})
    assert len(report.results[0].tallies) == 4 * 2
    assert {tally.alarms.n_images for tally in report.results[0].tallies} == {1}


def test_paper_preset_takes_support_of_another_size_than_the_query(fold: BenchmarkFold) -> None:
    torch.manual_seed(0)
    segmenter = any_size_segmenter(build_lerenet(PAPER_VGG).eval(), _CPU)
    image = torch.randint(0, 255, (60, 40), dtype=torch.uint8).numpy()
    mask = (image > 200).astype("uint8")
    encoding = segmenter.encode([Shot(image, mask)])
    [[q]] = segmenter.segment([SegmentationJob(image.T.copy(), (encoding,))])
    assert q.shape == (40, 60)


def test_selection_of_unknown_weights_is_called_unknown(fold: BenchmarkFold, tmp_path: Path) -> None:
    assert describe_selection(tmp_path / "w.safetensors", fold).startswith("unknown (no benchmark.json")
    assert trained_size_px(tmp_path / "w.safetensors") == 200


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"protocol": "paper"}, "on the test list itself, as the authors do (Steel_Se): NOT a held-out number"),
        ({"protocol": "clean"}, "on base classes that were not learnt from (Steel_Se)"),
        ({"protocol": "clean", "fold": 1}, "trained on fssd-12 fold 1: NOT this fold"),
    ],
)
def test_selection_is_told_from_the_run(
    fold: BenchmarkFold, tmp_path: Path, plan: dict[str, object], words: str
) -> None:
    weights = _write_facts(tmp_path, **plan)
    assert describe_selection(weights, fold).startswith(words)
    assert trained_size_px(weights) == 64
