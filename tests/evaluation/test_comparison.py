from __future__ import annotations

import json
import math
import os
import shutil
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from folders import write_packs
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


pytestmark = pytest.mark.usefixtures("_no_curves")


@dataclass(frozen=True)
class Whole:
    """A comparison that has come to its end.

    Attributes:
        out: Its folder, read only.
        comparison: What it returned.
        fitted: Of each row's network, in order: the tensors it fits.
    """

    out: Path
    comparison: Comparison
    fitted: tuple[tuple[str, ...], ...]


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packs, read only."""
    root = tmp_path_factory.mktemp("packs") / "plates"
    write_packs(root)
    return root


@pytest.fixture(scope="module")
def classes(packs: Path) -> tuple[DefectClass, ...]:
    return open_folder(packs, ["steel/bars"])


@pytest.fixture(scope="module")
def whole(classes: tuple[DefectClass, ...], tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """With noted networks, and no curves drawn."""
    out, fitted = tmp_path_factory.mktemp("whole"), []

    def noted(network: Any, *_: object, **__: object) -> Segmenter:
        fitted.append(getattr(network, "fitted", ()))
        return Segmenter(network, CPU)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lerenet.evaluation.comparison_rows.Segmenter", noted)
        patch.setattr("lerenet.training.loop.plot_curves", lambda rows, path: None)
        comparison, _ = run(classes, out, tiny_weights, note="tuning")
    return Whole(out, comparison, tuple(fitted))


def begun(whole: Whole, out: Path) -> Path:
    """A folder where the rows of the shipped weights are measured already; what is tested comes after them."""
    for name in UNTRAINED:
        row = name.replace(" ", "-")
        shutil.copytree(whole.out / "rows" / row, out / "rows" / row)
    return out


def run(
    classes: tuple[DefectClass, ...], out: Path, weights: Path, config: ComparisonConfig = CONFIG, **words: Any
) -> tuple[Comparison, list[str]]:
    lines: list[str] = []
    comparison = compare(config, classes, out, weights=weights, device=CPU, tell=lines.append, **words)
    return comparison, lines


def written(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    return document


def test_comparison_has_a_row_for_every_contender(whole: Whole) -> None:
    assert whole.comparison.is_complete
    assert [row.name for row in whole.comparison.rows] == ROWS
    assert [row["name"] for row in written(whole.out)["rows"]] == ROWS
    table = (whole.out / "comparison.md").read_text(encoding="utf-8").splitlines()
    assert table[0].startswith("|  | mIoU 1-shot | FB-IoU 1-shot | alarms 1-shot | mIoU 2-shot")
    assert "(tuning)" in "".join(table)
    assert [line.split("|")[1].strip() for line in table[2:9]] == ROWS


def test_best_learning_rate_on_held_out_plates_is_measured(whole: Whole) -> None:
    for row in whole.comparison.rows[4:6]:
        trials = whole.comparison.trials
        tried = {trial.learning_rate: trial.held_out_iou for trial in trials if trial.peer == row.name}
        assert set(tried) == {1e-3, 1e-2}
        assert row.learning_rate is not None
        assert row.held_out_iou == tried[row.learning_rate] == max(tried.values())


def test_peers_are_measured_unfitted_and_ours_both_ways(whole: Whole) -> None:
    assert [bool(names) for names in whole.fitted] == [name in (SHIPPED, FITTED) for name in ROWS]


def test_rates_that_are_tried_on_less_choose_what_is_trained_on_all(
    classes: tuple[DefectClass, ...], whole: Whole, tmp_path: Path, tiny_weights: Path
) -> None:
    out, config = begun(whole, tmp_path), replace(CONFIG, peers=("metal",), trial_episodes=2)
    comparison, _ = run(classes, out, tiny_weights, config)
    n_all, tried = BUDGET.n_episodes, {trial.learning_rate: trial.held_out_iou for trial in comparison.trials}
    assert {trial.n_episodes for trial in comparison.trials} == {2} != {n_all}
    row = comparison.rows[-1]
    assert row.n_episodes == n_all
    assert row.learning_rate == max(tried, key=lambda rate: tried[rate])
    assert [path.name for path in (out / "runs" / "metal").iterdir()] == [f"{row.learning_rate:g}"]
    assert "after 2 queries" in (out / "comparison.md").read_text(encoding="utf-8")


def test_second_call_does_nothing_again(
    classes: tuple[DefectClass, ...],
    whole: Whole,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = Path(shutil.copytree(whole.out, tmp_path / "out"))
    monkeypatch.setattr("lerenet.evaluation.comparison_training.TrainingRun", None)
    monkeypatch.setattr("lerenet.evaluation.comparison_rows.evaluate", None)
    second, _ = run(classes, out, tiny_weights, note="tuning")
    assert written(out) == written(whole.out)
    assert [row.result for row in second.rows] == [row.result for row in whole.comparison.rows]


def test_one_class_measured_later_adds_to_the_row(
    packs: Path, whole: Whole, tmp_path: Path, tiny_weights: Path
) -> None:
    (file,) = (begun(whole, tmp_path) / "rows/self-support").glob("class-*.json")
    kept = file.stat().st_mtime_ns
    comparison, _ = run(open_folder(packs), tmp_path, tiny_weights, replace(CONFIG, peers=()))
    assert {tally.class_name for tally in comparison.rows[3].result.tallies} == {"mt/cracks", "steel/bars"}
    assert file.stat().st_mtime_ns == kept


def test_stop_signal_leaves_a_comparison_that_goes_on_to_the_same_weights(
    classes: tuple[DefectClass, ...],
    whole: Whole,
    tmp_path: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(CONFIG, peers=("cpanet",), learning_rates=(1e-2,))
    straight, cut = (begun(whole, tmp_path / name) for name in ("straight", "cut"))
    run(classes, straight, tiny_weights, config)
    make = SyntheticEpisodes.__getitem__

    def make_and_stop(self: SyntheticEpisodes, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        if index == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return make(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(SyntheticEpisodes, "__getitem__", make_and_stop)
        stopped, _ = run(classes, cut, tiny_weights, config)
    assert not stopped.is_complete
    assert len(stopped.rows) == 4
    resumed, _ = run(classes, cut, tiny_weights, config)
    assert resumed.is_complete
    measured = [json.loads((out / "rows/cpanet/class-steel-bars.json").read_text()) for out in (straight, cut)]
    assert measured[0]["made_with"] == measured[1]["made_with"]


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
