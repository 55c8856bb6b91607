"""Trials of a comparison: one peer with one learning rate, in a folder that resumes and is never trained twice."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lerenet.errors import ConfigurationError, WeightsError
from lerenet.evaluation.baselines import build_peer
from lerenet.network.config import METAL, NetworkConfig
from lerenet.training.assembly import training_plates, validation_plates
from lerenet.training.config import TrainingConfig
from lerenet.training.history import read_run_config
from lerenet.training.loop import BEST_WEIGHTS, TrainingRun
from lerenet.training.validation import HeldOutPlates

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from lerenet.network.lerenet import LERENet

TRIAL_FILE, OUTCOME_FILE = "trial.json", "outcome.json"
_N_VALIDATIONS = 2


@dataclass(frozen=True, slots=True)
class Budget:
    """What every peer gets, the same for all.

    Attributes:
        n_episodes: Queries with their support sets to learn from; every plate of a batch is a query in turn.
        training: Everything else of the runs; its `network`, `learning_rate` and lengths are set for each trial.
        encoder: Configuration of `metal` and of the encoders that follow it.
    """

    n_episodes: int = 10_000
    training: TrainingConfig = field(default_factory=partial(TrainingConfig, n_episodes=2))
    encoder: NetworkConfig = METAL

    def __post_init__(self) -> None:
        if self.n_episodes < 1:
            raise ConfigurationError(f"the budget is {self.n_episodes} episodes; give at least 1")

    @property
    def n_steps(self) -> int:
        """Steps that hold so many queries."""
        return math.ceil(self.n_episodes / (self.training.n_episodes * self.training.n_images))

    def config(self, learning_rate: float) -> TrainingConfig:
        """Of a run with this learning rate."""
        every = max(1, self.n_steps // _N_VALIDATIONS)
        return replace(
            self.training,
            learning_rate=learning_rate,
            steps=self.n_steps,
            max_hours=0.0,
            validate_every=every,
            checkpoint_every=min(every, self.training.checkpoint_every),
        )


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """A finished trial.

    Attributes:
        peer: Name of the network.
        learning_rate: Peak of the schedule.
        n_episodes: Queries that it learned from.
        held_out_iou: Of its best weights on held-out synthetic plates.
        weights: Their file.
    """

    peer: str
    learning_rate: float
    n_episodes: int
    held_out_iou: float
    weights: Path


class Trainer:
    """Trains any peer on the same episodes.

    Args:
        budget: What each gets.
        folder: Receives `PEER/LEARNING_RATE/` with everything of a run.
        device: Where the networks run.
    """

    def __init__(self, budget: Budget, folder: Path, device: torch.device) -> None:
        self._budget = budget
        self._folder = folder
        self._device = device

    @property
    def side_px(self) -> int:
        """Side of the plates that it trains on."""
        return self._budget.training.size_px

    def run(self, peer: str, learning_rate: float, deadline_s: float = math.inf) -> TrialOutcome | None:
        """Trains from start or last checkpoint; what is finished is read, not done again.

        Args:
            peer: One of `PEERS`.
            learning_rate: Peak of the schedule.
            deadline_s: Time of `time.monotonic` at which to stop.

        Returns:
            None when it was stopped before its end, by a signal or the deadline; the same call goes on.

        Raises:
            ConfigurationError: No such peer, or its folder holds a trial with other settings.
        """
        folder = self._folder / peer / f"{learning_rate:g}"
        config = self._budget.config(learning_rate)
        _claim(folder, {"peer": peer, "steps": config.steps, "encoder": _plain(self._budget.encoder)})
        if (folder / OUTCOME_FILE).exists():
            config.check_resumes(read_run_config(folder))
        else:
            torch.manual_seed(config.seed)
            run = TrainingRun(
                config,
                folder,
                network=build_peer(peer, self._budget.encoder),
                source=training_plates(config, self._device),
                held_out=self._held_out,
                device=self._device,
                save=save_peer,
            )
            outcome = run.fit(deadline_s)
            if not outcome.is_complete:
                return None
            write_json(folder / OUTCOME_FILE, {"step": outcome.step, "held_out_iou": outcome.best_iou})
            shutil.rmtree(folder / "checkpoints")  # they only resume, and weigh three times the network
        found = json.loads((folder / OUTCOME_FILE).read_text(encoding="utf-8"))
        iou, best = found["held_out_iou"] or 0.0, folder / BEST_WEIGHTS
        return TrialOutcome(peer, learning_rate, self._budget.n_episodes, iou, best)

    def load(self, trial: TrialOutcome) -> LERENet:
        """The best weights of a trial, on the device and in eval mode.

        Raises:
            WeightsError: The file cannot be read or is of another network.
        """
        network = build_peer(trial.peer, self._budget.encoder)
        try:
            network.load_state_dict(load_file(trial.weights), strict=True)
        except (OSError, RuntimeError, SafetensorError) as err:
            raise WeightsError(
                f"{trial.weights} holds no weights of {trial.peer!r} ({err}); remove its folder to train it again"
            ) from err
        return network.to(self._device).eval()

    @cached_property
    def _held_out(self) -> HeldOutPlates:
        """What checkpoints and learning rates are chosen by: made once for all trials, and only if one is left."""
        training = self._budget.training
        return HeldOutPlates(validation_plates(training, self._device), training)


def save_peer(network: nn.Module, path: Path) -> None:
    """Writes a network's state in float32; the file appears whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, unfinished)
    unfinished.replace(path)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Writes a JSON file whole or not at all."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(path)


def _claim(folder: Path, trial: dict[str, Any]) -> None:
    """The run's own configuration knows neither peer nor encoder, and lets a run grow longer."""
    path = folder / TRIAL_FILE
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier != trial:
            raise ConfigurationError(f"{folder} holds a trial with other settings: {earlier}; name a new folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, trial)


def _plain(config: NetworkConfig) -> dict[str, Any]:
    """As JSON gives it back: lists for tuples."""
    return cast("dict[str, Any]", json.loads(json.dumps(asdict(config))))
