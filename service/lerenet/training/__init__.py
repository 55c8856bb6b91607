"""Episodic training on synthetic plates: `train(TrainingConfig(...), run_dir)`."""

from lerenet.training.config import TrainingConfig
from lerenet.training.loop import Outcome
from lerenet.training.run import train

__all__ = ["Outcome", "TrainingConfig", "train"]
