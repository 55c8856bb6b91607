import json
import os
import shutil
import signal
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from lerenet.errors import ConfigurationError
from lerenet.network.build import build_lerenet
from lerenet.network.config import tiny
from lerenet.network.weights import load_weights
from lerenet.training.config import TrainingConfig
from lerenet.training.loop import BEST_WEIGHTS, LAST_WEIGHTS, Outcome, TrainingRun
from lerenet.training.validation import HeldOutPlates

_CPU = torch.device("cpu")
_CONFIG = TrainingConfig(
    network="tiny",
    precision="float32",
    steps=6,
    num_workers=0,
    log_every=1,
    validate_every=3,
    checkpoint_every=2,
    validation_episodes=1,
    validation_images=3,
    learning_rate=1e-2,
)


class _Squares:
    """Noise with a bright square, drawn by the number of the batch; may signal this process at one step."""

    def __init__(self, signal_at: int | None = None) -> None:
        self._signal_at = signal_at

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index == self._signal_at:
            os.kill(os.getpid(), signal.SIGTERM)
        random = torch.Generator().manual_seed(index)
        images = torch.randint(60, 120, (2, 3, 3, 48, 48), generator=random, dtype=torch.uint8)
        masks = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
        masks[..., 4 + index : 28 + index, 8:32] = 1
        return torch.where(masks[:, :, None] == 1, images + 120, images), masks


def _run(config: TrainingConfig, run_dir: Path, source: _Squares | None = None, *, resume: bool = True) -> Outcome:
    torch.manual_seed(config.seed)
    run = TrainingRun(
        config,
        run_dir,
        network=build_lerenet(tiny()),
        source=source or _Squares(),
        held_out=HeldOutPlates(_Squares(), config),
        device=_CPU,
        resume=resume,
    )
    return run.fit()


def _checkpoint(run_dir: Path, step: int) -> dict[str, Any]:
    path = run_dir / "checkpoints" / f"step-{step:08d}.pt"
    state: dict[str, Any] = torch.load(path, weights_only=True)["learner"]
    return state


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A run that has come to its end: its folder, read only, and its outcome."""
    run_dir = tmp_path_factory.mktemp("whole")
    return run_dir, _run(_CONFIG, run_dir)


@pytest.fixture
def whole(finished: tuple[Path, Outcome]) -> Path:
    """The folder of that run."""
    return finished[0]


def test_run_leaves_everything_in_its_folder(finished: tuple[Path, Outcome]) -> None:
    whole, outcome = finished
    assert (outcome.step, outcome.is_complete) == (6, True)
    expected = {BEST_WEIGHTS, LAST_WEIGHTS, "checkpoints", "config.toml", "curves.png", "history.jsonl", "origin.json"}
    assert {path.name for path in whole.iterdir()} == expected
    rows = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "training"] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if row["kind"] == "validation"] == [3, 6]


@pytest.mark.usefixtures("_no_curves")
def test_run_resumes_to_the_weights_of_an_uninterrupted_one(whole: Path, tmp_path: Path) -> None:
    outcome = _run(_CONFIG, tmp_path, _Squares(signal_at=3))
    assert (outcome.step, outcome.is_complete) == (4, False)
    assert _run(_CONFIG, tmp_path).step == 6
    straight, cut = (_checkpoint(run_dir, 6) for run_dir in (whole, tmp_path))
    for part in ("network", "average"):
        torch.testing.assert_close(straight[part], cut[part], rtol=0, atol=0)
    assert straight["n_updates"] == cut["n_updates"] == 6


def test_run_exports_the_averaged_weights(whole: Path) -> None:
    exported = load_weights(whole / LAST_WEIGHTS, _CPU).state_dict()
    average = _checkpoint(whole, 6)["average"]
    for name, value in average.items():
        torch.testing.assert_close(exported[name].float(), value.float(), rtol=1e-3, atol=1e-4)


@pytest.mark.usefixtures("_no_curves")
def test_run_does_nothing_more_when_it_is_over(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    whole, outcome = finished
    again = Path(shutil.copytree(whole, tmp_path / "again"))
    assert _run(_CONFIG, again) == outcome
    assert (again / "history.jsonl").read_text() == (whole / "history.jsonl").read_text()


@pytest.mark.usefixtures("_no_curves")
def test_run_ends_with_its_time_when_steps_are_unlimited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count(step=0.1)  # seconds: each look at the clock takes a tenth
    monkeypatch.setattr("lerenet.training.loop.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    outcome = _run(replace(_CONFIG, steps=0, max_hours=4 / 3600, checkpoint_every=1000), tmp_path)
    assert outcome.is_complete
    assert outcome.step > 0
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    rates = [row["learning_rate"] for row in rows if row["kind"] == "training"]
    assert rates[-1] < 0.5 * max(rates)


@pytest.mark.usefixtures("_no_curves")
def test_run_counts_the_time_of_earlier_parts(tmp_path: Path) -> None:
    config = replace(_CONFIG, steps=0, max_hours=1.0)
    _run(config, tmp_path, _Squares(signal_at=1))
    path = tmp_path / "checkpoints" / "step-00000002.pt"
    state = torch.load(path, weights_only=True)
    assert state["elapsed_s"] > 0
    torch.save(state | {"elapsed_s": 3600.0}, path)
    assert _run(config, tmp_path).step == 2


def test_run_refuses_a_folder_of_another_run(whole: Path) -> None:
    with pytest.raises(ConfigurationError, match="learning_rate"):
        _run(replace(_CONFIG, learning_rate=0.5), whole)


def test_run_refuses_a_used_folder_when_it_may_not_resume(whole: Path) -> None:
    with pytest.raises(ConfigurationError, match="resume"):
        _run(_CONFIG, whole, resume=False)
