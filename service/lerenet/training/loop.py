"""The training loop: learn, look, save, until the steps or the hours are used up."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lerenet.errors import ConfigurationError
from lerenet.network.weights import save_weights
from lerenet.training.checkpoint import list_checkpoints, load_latest_checkpoint, save_checkpoint
from lerenet.training.episodes import iterate_batches
from lerenet.training.history import History, describe_run, read_run_config
from lerenet.training.learner import Learner
from lerenet.training.plot import plot_curves
from lerenet.training.progress import build_progress
from lerenet.training.schedule import learning_rate_factor, run_progress
from lerenet.training.signals import stop_signals
from lerenet.training.throughput import Throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from threading import Event

    from torch import Tensor

    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import TrainingConfig
    from lerenet.training.episodes import EpisodeSource
    from lerenet.training.learner import StepReport
    from lerenet.training.learning import BuildLearner, Schedule
    from lerenet.training.progress import ProgressView
    from lerenet.training.validation import HeldOut

BEST_WEIGHTS = "weights-best.safetensors"
LAST_WEIGHTS = "weights-last.safetensors"
_CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        step: Steps done, over all resumptions.
        best_iou: Of the best weights on held-out plates; None when none were validated.
        is_complete: False when it was stopped before its end.
    """

    step: int
    best_iou: float | None
    is_complete: bool


class TrainingRun:
    """One run in its folder: configuration, history, curves, checkpoints and weights.

    Args:
        config: Of the run.
        run_dir: Made when missing.
        network: With its initial weights.
        source: Training batches by step.
        held_out: What the averaged weights are validated on.
        device: Where the network runs.
        resume: Go on from the last checkpoint in `run_dir` if there is one.
        save: Writes the averaged network to a file.
        build_learner: What learns from the batches.
        schedule: From the share of the run that is done, and that of the warm-up, to the factor of the learning rate.

    Raises:
        ConfigurationError: The folder holds a run with other settings, or one that `resume` forbids to go on with.
    """

    def __init__(
        self,
        config: TrainingConfig,
        run_dir: Path,
        *,
        network: LERENet,
        source: EpisodeSource,
        held_out: HeldOut,
        device: torch.device,
        resume: bool = True,
        save: Callable[[LERENet, Path], None] = save_weights,
        build_learner: BuildLearner = Learner,
        schedule: Schedule = learning_rate_factor,
    ) -> None:
        if list_checkpoints(run_dir / _CHECKPOINTS):
            if not resume:
                raise ConfigurationError(f"{run_dir} holds a run already; resume it or name a new run folder")
            config.check_resumes(read_run_config(run_dir))
        describe_run(run_dir, config, device)
        self._config = config
        self._run_dir = run_dir
        self._source = source
        self._held_out = held_out
        self._device = device
        self._save_network = save
        self._learner = build_learner(network, config, device)
        self._schedule = schedule
        self._throughput = Throughput()
        self._step = 0
        self._best_iou: float | None = None
        self._validated_step = -1
        self._earlier_s = 0.0
        self._restore()
        self._history = History(run_dir / "history.jsonl", self._step)
        self._started = time.monotonic()

    def fit(self, deadline_s: float = math.inf) -> Outcome:
        """Trains until the end of the schedule or a stop signal, and leaves a checkpoint, weights and curves.

        Args:
            deadline_s: Time of `time.monotonic` at which to stop as if a signal had come.

        Raises:
            ConfigurationError: The loss stays not finite.
        """
        config = self._config
        made = iterate_batches(self._source, self._step, config.steps, config.num_workers)
        batches = self._throughput.timed(made)
        with stop_signals() as stop, build_progress(self._progress(), config.report_every_s) as view:
            while self._progress() < 1 and time.monotonic() < deadline_s and (batch := _next_unless(stop, batches)):
                self._learn(*batch, view)
                if self._step % config.validate_every == 0:
                    self._validate(view)
                if self._step % config.checkpoint_every == 0:
                    self._save()
            self._finish(view, is_complete=self._progress() >= 1)
        return Outcome(self._step, self._best_iou, self._progress() >= 1)

    def _learn(self, images: Tensor, masks: Tensor, view: ProgressView) -> None:
        rate = self._config.learning_rate * self._schedule(self._progress(), self._config.warmup)
        report = self._learner.step(images, masks, self._step, rate)
        self._step += 1
        view.show(self._step, self._progress(), report.loss)
        if report.is_skipped:
            view.tell(f"step {self._step} was skipped: loss {report.loss}, gradient norm {report.gradient_norm}")
        if self._step % self._config.log_every == 0:
            self._log(report, rate)

    def _log(self, report: StepReport, rate: float) -> None:
        measured = {"learning_rate": rate, "n_skipped": self._learner.n_skipped, "elapsed_s": self._elapsed_s()}
        self._history.add_training(self._step, report, **measured)

    def _validate(self, view: ProgressView) -> None:
        network = self._learner.average.network
        report = self._held_out.validate(network, self._device)
        self._validated_step = self._step
        self._history.add_validation(self._step, report)
        is_best = self._best_iou is None or report.iou > self._best_iou
        if is_best:
            self._best_iou = report.iou
            self._save_network(network, self._run_dir / BEST_WEIGHTS)
        view.tell(f"step {self._step} · {report.describe()}{' · best' if is_best else ''}")
        plot_curves(self._history.rows, self._run_dir / "curves.png")

    def _finish(self, view: ProgressView, *, is_complete: bool) -> None:
        # A run that is asked to stop has little time; one that is over wants its last weights judged.
        if is_complete and self._validated_step != self._step:
            self._validate(view)
        self._save_network(self._learner.average.network, self._run_dir / LAST_WEIGHTS)
        path = self._save()
        view.tell(f"{'finished' if is_complete else 'stopped'} after {self._step} steps; checkpoint {path}")
        view.tell(self._throughput.describe())

    def _progress(self) -> float:
        return run_progress(self._config, self._step, self._elapsed_s())

    def _elapsed_s(self) -> float:
        return self._earlier_s + time.monotonic() - self._started

    def _save(self) -> Path:
        state: dict[str, Any] = {
            "step": self._step,
            "elapsed_s": self._elapsed_s(),
            "best_iou": self._best_iou,
            "validated_step": self._validated_step,
            "learner": self._learner.state_dict(),
            "random": torch.get_rng_state(),
        }
        return save_checkpoint(self._run_dir / _CHECKPOINTS, self._step, state)

    def _restore(self) -> None:
        state = load_latest_checkpoint(self._run_dir / _CHECKPOINTS)
        if state is None:
            return
        self._learner.load_state_dict(state["learner"])
        self._step, self._earlier_s = state["step"], state["elapsed_s"]
        self._best_iou, self._validated_step = state["best_iou"], state["validated_step"]
        torch.set_rng_state(state["random"])


def _next_unless(stop: Event, batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor] | None:
    """The next batch; None when the run is to stop, also where the same signal has ended the workers."""
    try:
        return None if stop.is_set() else next(batches)
    except RuntimeError:
        if stop.is_set():
            return None
        raise
