from __future__ import annotations

import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.errors import ConfigurationError, WeightsError
from lerenet.evaluation.comparison import FITTED, SHIPPED, ComparisonConfig, compare
from lerenet.evaluation.comparison_cost import measure_cost
from lerenet.evaluation.comparison_table import Comparison
from lerenet.evaluation.comparison_training import Budget, Trainer
from lerenet.evaluation.protocol import EvaluationConfig
from lerenet.inference.segmenter import Segmenter
from lerenet.network import load_weights
from lerenet.network.config import tiny
from lerenet.training.config import TrainingConfig
from lerenet.training.episodes import SyntheticEpisodes

CPU = torch.device("cpu")
UNTRAINED = [SHIPPED, "pooled prototypes", "dense matching", "self-support"]
ROWS = [*UNTRAINED, "tgrnet", "metal", FITTED]
BUDGET = Budget(
    n_episodes=10,
    training=TrainingConfig(
        n_episodes=1,
        n_images=3,
        size_px=64,
        precision="float32",
        num_workers=0,
        validation_episodes=1,
        validation_images=3,
        device="cpu",
    ),
    encoder=tiny(),
)
CONFIG = ComparisonConfig(
    peers=("tgrnet", "metal"),
    learning_rates=(1e-3, 1e-2),
    budget=BUDGET,
    evaluation=EvaluationConfig(shots=(1, 2), n_seeds=2, n_draws=1, max_queries=2, max_normals=1),
)


@pytest.fixture
def classes(plates: Path) -> tuple[DefectClass, ...]:
    return open_folder(plates, ["steel/bars"])


def run(
    classes: tuple[DefectClass, ...], out: Path, weights: Path, config: ComparisonConfig = CONFIG, **words: Any
) -> tuple[Comparison, list[str]]:
    lines: list[str] = []
    comparison = compare(config, classes, out, weights=weights, device=CPU, tell=lines.append, **words)
    return comparison, lines


def written(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    return document


def test_comparison_has_a_row_for_every_contender(
    classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path
) -> None:
    out = tmp_path / "out"
    comparison, _ = run(classes, out, tiny_weights, note="tuning")
    assert comparison.is_complete
    assert [row.name for row in comparison.rows] == ROWS
    assert [row["name"] for row in written(out)["rows"]] == ROWS
    table = (out / "comparison.md").read_text(encoding="utf-8").splitlines()
    assert table[0].startswith("|  | mIoU 1-shot | FB-IoU 1-shot | alarms 1-shot | mIoU 2-shot")
    assert "(tuning)" in "".join(table)
    assert [line.split("|")[1].strip() for line in table[2:9]] == ROWS


def test_best_learning_rate_on_held_out_plates_is_measured(
    classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path
) -> None:
    comparison, _ = run(classes, tmp_path, tiny_weights)
    for row in comparison.rows[4:6]:
        tried = {trial.learning_rate: trial.held_out_iou for trial in comparison.trials if trial.peer == row.name}
        assert set(tried) == {1e-3, 1e-2}
        assert row.learning_rate is not None
        assert row.held_out_iou == tried[row.learning_rate] == max(tried.values())


def test_peers_are_measured_unfitted_and_ours_both_ways(
    classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[tuple[str, ...]] = []

    def noted(network: Any, *_: object, **__: object) -> Segmenter:
        fitted.append(getattr(network, "fitted", ()))
        return Segmenter(network, CPU)

    monkeypatch.setattr("lerenet.evaluation.comparison_rows.Segmenter", noted)
    run(classes, tmp_path, tiny_weights)
    assert [bool(names) for names in fitted] == [name in (SHIPPED, FITTED) for name in ROWS]


def test_rates_that_are_tried_on_less_choose_what_is_trained_on_all(
    classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path
) -> None:
    comparison, _ = run(classes, tmp_path, tiny_weights, replace(CONFIG, peers=("metal",), trial_episodes=2))
    whole, tried = BUDGET.n_episodes, {trial.learning_rate: trial.held_out_iou for trial in comparison.trials}
    assert {trial.n_episodes for trial in comparison.trials} == {2} != {whole}
    row = comparison.rows[-1]
    assert row.n_episodes == whole
    assert row.learning_rate == max(tried, key=lambda rate: tried[rate])
    assert [path.name for path in (tmp_path / "runs" / "metal").iterdir()] == [f"{row.learning_rate:g}"]
    assert "after 2 queries" in (tmp_path / "comparison.md").read_text(encoding="utf-8")


def test_second_call_does_nothing_again(
    classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = run(classes, tmp_path, tiny_weights)
    before = written(tmp_path)
    monkeypatch.setattr("lerenet.evaluation.comparison_training.TrainingRun", None)
    monkeypatch.setattr("lerenet.evaluation.comparison_rows.evaluate", None)
    second, _ = run(classes, tmp_path, tiny_weights)
    assert written(tmp_path) == before
    assert [row.result for row in second.rows] == [row.result for row in first.rows]


def test_one_class_measured_later_adds_to_the_row(
    classes: tuple[DefectClass, ...], plates: Path, tmp_path: Path, tiny_weights: Path
) -> None:
    config = replace(CONFIG, peers=())
    run(classes, tmp_path, tiny_weights, config)
    (file,) = (tmp_path / "rows/self-support").glob("class-*.json")
    kept = file.stat().st_mtime_ns
    comparison, _ = run(open_folder(plates), tmp_path, tiny_weights, config)
    assert {tally.class_name for tally in comparison.rows[3].result.tallies} == {"mt/cracks", "steel/bars"}
    assert file.stat().st_mtime_ns == kept


def test_stop_signal_leaves_a_comparison_that_goes_on_to_the_same_weights(
    classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, peers=("cpanet",), learning_rates=(1e-2,))
    run(classes, tmp_path / "whole", tiny_weights, config)
    make = SyntheticEpisodes.__getitem__

    def make_and_stop(self: SyntheticEpisodes, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if index == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return make(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(SyntheticEpisodes, "__getitem__", make_and_stop)
        stopped, _ = run(classes, tmp_path / "cut", tiny_weights, config)
    assert not stopped.is_complete
    assert len(stopped.rows) == 4
    resumed, _ = run(classes, tmp_path / "cut", tiny_weights, config)
    assert resumed.is_complete
    whole, cut = ((tmp_path / name / "rows/cpanet/class-steel-bars.json").read_text() for name in ("whole", "cut"))
    assert json.loads(whole)["made_with"] == json.loads(cut)["made_with"]


def test_call_ends_when_its_time_is_up(classes: tuple[DefectClass, ...], tmp_path: Path, tiny_weights: Path) -> None:
    comparison, _ = run(classes, tmp_path, tiny_weights, hours=0.0)
    assert not comparison.is_complete
    assert comparison.rows == ()


def test_other_budget_needs_another_folder(tmp_path: Path) -> None:
    assert Trainer(BUDGET, tmp_path, CPU).run("cpanet", 1e-3) is not None
    with pytest.raises(ConfigurationError, match="other settings"):
        Trainer(replace(BUDGET, n_episodes=99), tmp_path, CPU).run("cpanet", 1e-3)
    reseeded = replace(BUDGET, training=replace(BUDGET.training, seed=7))
    with pytest.raises(ConfigurationError, match="seed"):
        Trainer(reseeded, tmp_path, CPU).run("cpanet", 1e-3)


def test_budget_counts_queries() -> None:
    assert BUDGET.n_steps == 4  # three queries a step
    assert Budget().n_steps == math.ceil(10_000 / 8)


def test_damaged_weights_are_told_with_the_remedy(tmp_path: Path) -> None:
    trainer = Trainer(BUDGET, tmp_path, CPU)
    trial = trainer.run("cpanet", 1e-3)
    assert trial is not None
    trial.weights.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="remove its folder"):
        trainer.load(trial)


@pytest.mark.parametrize("fields", [{"peers": ("resnet",)}, {"learning_rates": ()}, {"learning_rates": (1e-3, 1e-3)}])
def test_impossible_comparisons_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ComparisonConfig(**fields)


def test_cost_counts_what_a_class_shares(tiny_weights: Path) -> None:
    cost = measure_cost(load_weights(tiny_weights, CPU), 60, CPU)
    larger = measure_cost(load_weights(tiny_weights, CPU), 128, CPU)
    assert cost.n_parameters == sum(p.numel() for p in load_weights(tiny_weights, CPU).parameters())
    assert larger.shared_gmac == pytest.approx(4 * cost.shared_gmac, rel=0.1)
    assert 0 < cost.class_gmac < cost.shared_gmac
