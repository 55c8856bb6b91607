import json
from pathlib import Path

import torch

import lerenet
from lerenet.training.config import TrainingConfig
from lerenet.training.history import History, code_version, describe_run, read_run_config
from lerenet.training.learner import StepReport
from lerenet.training.plot import plot_curves
from lerenet.training.validation import ValidationReport

_STEP = StepReport(loss=1.5, cross_entropy=0.5, dice=1.0, iou=0.25, gradient_norm=2.0, is_skipped=False)
_VALIDATION = ValidationReport(iou_one_shot=0.4, iou_several_shots=0.6, false_alarm_rate=0.1)


def _history(path: Path) -> History:
    history = History(path, 0)
    history.add_training(10, _STEP, learning_rate=1e-3)
    history.add_validation(10, _VALIDATION)
    history.add_training(20, _STEP, learning_rate=1e-3)
    return history


def test_history_holds_one_json_line_per_measurement(tmp_path: Path) -> None:
    _history(tmp_path / "history.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["step"]) for row in rows] == [("training", 10), ("validation", 10), ("training", 20)]
    assert rows[0]["learning_rate"] == 1e-3
    assert rows[1]["iou"] == 0.5


def test_history_drops_what_a_resumed_run_does_again(tmp_path: Path) -> None:
    _history(tmp_path / "history.jsonl")
    assert [row["step"] for row in History(tmp_path / "history.jsonl", 10).rows] == [10, 10]
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2


def test_history_survives_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    _history(path)
    path.write_text(path.read_text() + '{"kind": "trai')
    assert len(History(path, 100).rows) == 3


def test_run_folder_names_configuration_seed_and_code(tmp_path: Path) -> None:
    config = TrainingConfig(seed=11)
    describe_run(tmp_path / "run", config, torch.device("cpu"))
    [origin] = json.loads((tmp_path / "run" / "origin.json").read_text())
    assert read_run_config(tmp_path / "run") == config
    assert (origin["seed"], origin["device"], origin["code"]) == (11, "cpu", code_version())


def test_code_version_starts_with_the_version_of_the_package() -> None:
    assert code_version().startswith(lerenet.__version__)


def test_curves_are_a_png(tmp_path: Path) -> None:
    plot_curves(_history(tmp_path / "history.jsonl").rows, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_are_drawn_when_nothing_was_measured(tmp_path: Path) -> None:
    plot_curves([], tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_a_resumed_run_adds_to_its_origin(tmp_path: Path) -> None:
    for device in ("cpu", "meta"):
        describe_run(tmp_path, TrainingConfig(), torch.device(device))
    parts = json.loads((tmp_path / "origin.json").read_text())
    assert [part["device"] for part in parts] == ["cpu", "meta"]
