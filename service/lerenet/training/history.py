"""The run folder's record: configuration, code version, and one JSON line per measurement."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import lerenet
from lerenet.training.config import TrainingConfig

if TYPE_CHECKING:
    from lerenet.training.learner import StepReport
    from lerenet.training.validation import Judgement

_CONFIG_FILE = "config.toml"
_ORIGIN_FILE = "origin.json"


def describe_run(run_dir: Path, config: TrainingConfig, device: torch.device) -> None:
    """Saves the resolved configuration, with its seed, and what code and device it runs on.

    Args:
        run_dir: Made when missing.
        config: Of the run.
        device: Of the run.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / _CONFIG_FILE).write_text(config.to_toml(), encoding="utf-8")
    origin = {"code": code_version(), "torch": torch.__version__, "device": str(device), "seed": config.seed}
    path = run_dir / _ORIGIN_FILE
    parts = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    path.write_text(json.dumps([*parts, origin], indent=2) + "\n", encoding="utf-8")


def read_run_config(run_dir: Path) -> TrainingConfig:
    """The resolved configuration that `describe_run` saved.

    Raises:
        ConfigurationError: It is missing or damaged.
    """
    return TrainingConfig.from_toml(run_dir / _CONFIG_FILE)


def code_version() -> str:
    """The package's version, with the commit (and `-dirty`) when it runs from a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return lerenet.__version__
    return f"{lerenet.__version__}+{done.stdout.strip()}"


class History:
    """Measurements of a run as JSON lines, each with `kind` (`training` or `validation`) and `step`.

    Args:
        path: The file; rows after `step` are dropped, as a resumed run makes them again.
        step: Steps done.
    """

    def __init__(self, path: Path, step: int) -> None:
        self._path = path
        self.rows = [row for row in _read_rows(path) if row["step"] <= step]
        path.write_text("".join(map(_line, self.rows)), encoding="utf-8")

    def add_training(self, step: int, report: StepReport, **measured: float) -> None:
        """Appends what a step showed, with further named numbers."""
        self._append({"kind": "training", "step": step} | asdict(report) | measured)

    def add_validation(self, step: int, report: Judgement) -> None:
        """Appends a validation after `step` steps."""
        self._append({"kind": "validation", "step": step, "iou": report.iou} | asdict(report))

    def _append(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(row))


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    # A run that was killed may have left half a line at the end.
    return [json.loads(line) for line in lines if line.endswith("\n")]
