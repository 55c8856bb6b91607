"""Puts a run together from its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.training.assembly import build_network, prepare_device, training_plates, validation_plates
from lerenet.training.loop import TrainingRun
from lerenet.training.validation import HeldOutPlates

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.training.config import TrainingConfig
    from lerenet.training.loop import Outcome


def train(config: TrainingConfig, run_dir: Path, *, resume: bool = True) -> Outcome:
    """Trains a network on synthetic plates, from start or last checkpoint to end or stop signal.

    Args:
        config: Of the run.
        run_dir: Receives `config.toml`, `origin.json`, `history.jsonl`, `curves.png`, `checkpoints/`,
            `weights-best.safetensors` and `weights-last.safetensors`.
        resume: Go on with the run in `run_dir` if there is one; otherwise such a folder is refused.

    Raises:
        ConfigurationError: The folder holds another run, the device is missing, or the loss stays not finite.
        WeightsError: `init_weights` cannot be loaded or belongs to another network.
    """
    device = prepare_device(config)
    run = TrainingRun(
        config,
        run_dir,
        network=build_network(config, device),
        source=training_plates(config, device),
        held_out=HeldOutPlates(validation_plates(config, device), config),
        device=device,
        resume=resume,
    )
    return run.fit()
