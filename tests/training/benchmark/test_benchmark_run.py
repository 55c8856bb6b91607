from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from folders import write_benchmark
from lerenet.datasets.benchmarks import find_benchmark
from lerenet.errors import ConfigurationError, DatasetError, WeightsError
from lerenet.network import PAPER_RESNET, build_lerenet
from lerenet.training.benchmark import BenchmarkOutcome, BenchmarkPlan, train_on_benchmark
from lerenet.training.benchmark.run import _with_backbone, read_training_facts
from lerenet.training.loop import BEST_WEIGHTS

PLAN = BenchmarkPlan(
    "fssd-12", 0, network="tiny", epochs=2, batch=8, size_px=32, device="cpu", num_workers=0, protocol="paper"
)


@pytest.fixture(scope="module")
def steel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FSSD-12 with 2 pairs a class, read only."""
    root = tmp_path_factory.mktemp("fssd")
    write_benchmark(root, find_benchmark("fssd-12"), 2)
    return root


@pytest.fixture(scope="module")
def paper(steel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BenchmarkOutcome]:
    """A run by the paper's protocol: its folder, read only, and how it ended."""
    run_dir = tmp_path_factory.mktemp("paper")
    return run_dir, train_on_benchmark(PLAN, steel, run_dir)


def test_paper_protocol_chooses_on_the_test_list(paper: tuple[Path, BenchmarkOutcome]) -> None:
    run_dir, done = paper
    assert done.selected_on == ("Steel_Am", "Steel_Ia", "Steel_Ld", "Steel_Op")
    assert (done.outcome.step, done.outcome.is_complete) == (4, True)
    rows = [json.loads(line) for line in (run_dir / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    [row] = [row for row in rows if row["kind"] == "validation"]
    assert (row["step"], row["miou"], row["fb_iou"]) == (4, done.outcome.best_iou, done.best_fb_iou)
    assert set(row["class_iou"]) == set(done.selected_on)


@pytest.mark.usefixtures("_no_curves")
def test_clean_protocol_holds_base_classes_out(steel: Path, tmp_path: Path) -> None:
    done = train_on_benchmark(replace(PLAN, protocol="clean", batch=4), steel, tmp_path / "run")
    facts = read_training_facts(tmp_path / "run" / BEST_WEIGHTS)
    assert facts is not None
    assert len(done.selected_on) == 2
    assert set(done.selected_on).isdisjoint(facts["trained_on"])
    novel = {each.folder for each in find_benchmark("fssd-12").novel_classes(0)}
    assert novel.isdisjoint({*done.selected_on, *facts["trained_on"]})
    assert len(facts["trained_on"]) == 6


def test_weights_of_nowhere_have_no_facts(tmp_path: Path) -> None:
    assert read_training_facts(tmp_path / "weights.safetensors") is None


def test_run_of_another_plan_is_refused(steel: Path, paper: tuple[Path, BenchmarkOutcome]) -> None:
    with pytest.raises(ConfigurationError, match=r"another plan \(fold 0 -> 1\)"):
        train_on_benchmark(replace(PLAN, fold=1), steel, paper[0])


@pytest.mark.usefixtures("_no_curves")
def test_run_that_is_over_is_not_trained_again(
    steel: Path, paper: tuple[Path, BenchmarkOutcome], tmp_path: Path
) -> None:
    run_dir, first = paper
    again = Path(shutil.copytree(run_dir, tmp_path / "again"))
    assert train_on_benchmark(PLAN, steel, again).outcome == first.outcome


def test_faults_come_before_anything_is_written(steel: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="5-shot needs 6"):
        train_on_benchmark(replace(PLAN, shots=5), steel, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"protocol": "loose"}, "the protocol is one of paper, clean"),
        ({"label_rule": "bright"}, "the label rule is one of"),
        ({"epochs": 0}, "at least 1"),
        ({"backbone": "resnet.pth"}, "fits paper-resnet50"),
        ({"benchmark": "pascal"}, "no benchmark 'pascal'"),
    ],
)
def test_plan_refuses_what_cannot_be(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        replace(PLAN, **changes)  # type: ignore[arg-type]


def test_file_of_torchvision_gets_the_network_of_its_stem(tmp_path: Path) -> None:
    donor = build_lerenet(replace(PAPER_RESNET, stem="plain"))
    renames = {"stem.0": "conv1", "stem.1": "bn1", "stage1": "layer1"}
    state = {
        next(theirs + name.removeprefix(ours) for ours, theirs in renames.items() if name.startswith(ours)): tensor
        for name, tensor in donor.backbone.state_dict().items()
    }
    torch.save(state, tmp_path / "resnet50.pth")
    network = _with_backbone(build_lerenet(PAPER_RESNET), tmp_path / "resnet50.pth")
    assert network.config.stem == "plain"
    torch.testing.assert_close(network.backbone.state_dict(), donor.backbone.state_dict())


def test_file_of_no_backbone_is_refused_in_its_own_words(tmp_path: Path) -> None:
    torch.save({"head.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="deep stem"):
        _with_backbone(build_lerenet(PAPER_RESNET), tmp_path / "other.pth")
