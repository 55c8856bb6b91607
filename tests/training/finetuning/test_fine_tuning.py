from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from builders import tiny_network
from folders import write_class
from lerenet.errors import ConfigurationError, DatasetError
from lerenet.network import PAPER_VGG, build_lerenet, save_weights
from lerenet.network.weights import load_weights, read_manifest, verify_weights
from lerenet.training import TrainingConfig
from lerenet.training.finetuning import FINE_TUNING, FineTuned, FineTuningPlan, fine_tune
from lerenet.training.finetuning.card import CARD_FILE
from lerenet.training.finetuning.episodes import FolderEpisodes
from lerenet.training.finetuning.run import PLAN_FILE

pytestmark = pytest.mark.usefixtures("_no_curves")


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one class of 12 pairs and 4 defect-free images, read only."""
    root = tmp_path_factory.mktemp("mine")
    write_class(root / "bars", 12, 10)
    return root


@pytest.fixture(scope="module")
def config(tiny_weights: Path) -> TrainingConfig:
    small: dict[str, Any] = {
        "init_weights": str(tiny_weights),
        "size_px": 64,
        "n_episodes": 2,
        "n_images": 3,
        "learning_rate": 1e-2,
        "steps": 70,
        "validate_every": 35,
        "checkpoint_every": 70,
        "validation_episodes": 1,
        "validation_images": 3,
        "num_workers": 0,
        "device": "cpu",
        "precision": "float32",
        "ema_decay": 0.9,
    }
    return TrainingConfig(**(FINE_TUNING | small))


def test_fine_tuned_weights_are_better_on_the_held_out_part(bars: Path, config: TrainingConfig, tmp_path: Path) -> None:
    done = fine_tune(config, FineTuningPlan(str(bars), 0.0), tmp_path / "run")
    assert done.after is not None
    assert done.after.iou_real > done.before.iou_real + 0.1
    assert done.weights == tmp_path / "run" / "weights.safetensors"
    [entry] = read_manifest(tmp_path / "run")
    verify_weights(entry, tmp_path / "run")
    assert load_weights(done.weights).config == tiny_network().config
    card = (tmp_path / "run" / CARD_FILE).read_text(encoding="utf-8")
    for words in ("| bars | 11 | 1 | 11 + 1 | 9 | 1 |", f"{done.after.iou_one_shot:.3f}", "LERENET_WEIGHTS=", "seed 1"):
        assert words in card


@dataclass(frozen=True)
class Idle:
    """A run of one step that learns nothing: how it was made, its folder, read only, and how it ended."""

    config: TrainingConfig
    run_dir: Path
    done: FineTuned


@pytest.fixture(scope="module")
def idle(bars: Path, config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Idle:
    still, run_dir = replace(config, learning_rate=0.0, steps=1), tmp_path_factory.mktemp("idle")
    return Idle(still, run_dir, fine_tune(still, FineTuningPlan(str(bars)), run_dir))


def test_no_weights_are_written_when_nothing_improves(idle: Idle) -> None:
    assert idle.done.after == idle.done.before
    assert idle.done.weights is None
    assert not (idle.run_dir / "weights.safetensors").exists()
    assert "No weights were written" in (idle.run_dir / CARD_FILE).read_text(encoding="utf-8")


def test_stopped_run_leaves_no_weights(
    bars: Path, config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = FolderEpisodes.__getitem__

    def stop(self: FolderEpisodes, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        os.kill(os.getpid(), signal.SIGTERM)
        return batch(self, index)

    monkeypatch.setattr(FolderEpisodes, "__getitem__", stop)
    done = fine_tune(config, FineTuningPlan(str(bars)), tmp_path / "run")
    assert (done.outcome.is_complete, done.after, done.weights) == (False, None, None)


def test_bad_folder_is_refused_before_anything_is_written(config: TrainingConfig, tmp_path: Path) -> None:
    write_class(tmp_path / "mine" / "bars", 4)
    (tmp_path / "mine" / "bars" / "masks" / "p00.png").unlink()
    write_class(tmp_path / "mine" / "dents", 2)
    with pytest.raises(DatasetError) as caught:
        fine_tune(config, FineTuningPlan(str(tmp_path / "mine")), tmp_path / "run")
    assert len(caught.value.faults) == 2
    assert not (tmp_path / "run").exists()


def test_run_on_another_folder_is_refused(bars: Path, idle: Idle) -> None:
    with pytest.raises(ConfigurationError, match=r"another plan \(synthetic_share 0.5 -> 0.0\)"):
        fine_tune(idle.config, FineTuningPlan(str(bars), 0.0), idle.run_dir)


def test_split_is_kept_beside_the_run(idle: Idle) -> None:
    document = json.loads((idle.run_dir / PLAN_FILE).read_text(encoding="utf-8"))
    assert len(document["learnt"]["bars"]) == 11
    assert set(document["learnt"]["bars"]).isdisjoint(document["held_out"]["bars"])


def test_paper_weights_are_refused(bars: Path, config: TrainingConfig, tmp_path: Path) -> None:
    save_weights(build_lerenet(PAPER_VGG), tmp_path / "paper.safetensors")
    paper = replace(config, init_weights=str(tmp_path / "paper.safetensors"))
    with pytest.raises(ConfigurationError, match="is of the paper network"):
        fine_tune(paper, FineTuningPlan(str(bars)), tmp_path / "run")


@pytest.mark.parametrize("changes", [{"synthetic_share": 1.0}, {"label_rule": "bright"}])
def test_plan_refuses_what_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        FineTuningPlan("mine", **changes)
