"""One table of every peer: the same episodes for all, the best of several learning rates, one protocol.

A comparison lives in a folder and may be cut at any moment: finished trials and measured classes are read again, an
unfinished trial goes on from its checkpoint.

    out/trials/PEER/LEARNING_RATE/       a training run each, with the part of the budget that chooses a learning rate
    out/runs/PEER/LEARNING_RATE/         the chosen one, trained anew with all of it
    out/rows/ROW/                        cost, and tallies class by class
    out/comparison.json, comparison.md   all rows so far
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from lerenet.errors import ConfigurationError
from lerenet.evaluation.baselines import PEERS, on_any_image
from lerenet.evaluation.comparison_rows import Contender, RowMeasurement
from lerenet.evaluation.comparison_table import Comparison, write_comparison
from lerenet.evaluation.comparison_training import Budget, Trainer
from lerenet.evaluation.methods import OURS, TRAINING_FREE
from lerenet.evaluation.protocol import EvaluationConfig
from lerenet.network.weights import load_weights, weights_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import torch

    from lerenet.datasets.folder import DefectClass
    from lerenet.evaluation.comparison_training import TrialOutcome
    from lerenet.evaluation.evaluate import Step
    from lerenet.inference.precision import Precision
    from lerenet.inference.protocol import FewShotNetwork

SHIPPED = f"{OURS} as shipped"
METAL = PEERS[0]
FITTED = f"{METAL} fitted to its shots"
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class ComparisonConfig:
    """What is compared.

    Attributes:
        peers: Networks to train, of `PEERS`.
        learning_rates: Tried for each; the best on held-out synthetic plates is trained anew and measured.
        budget: Of the network that is measured.
        trial_episodes: Queries that each learning rate is tried with, on a schedule of that length; None for the
            whole budget, and then the best trial is what is measured.
        evaluation: The protocol.
        precision: Of the measurement; that of the training is the budget's.
    """

    peers: tuple[str, ...] = PEERS
    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    budget: Budget = field(default_factory=Budget)
    trial_episodes: int | None = None
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        unknown = [name for name in self.peers if name not in PEERS]
        if unknown:
            raise ConfigurationError(f"there is no peer {unknown[0]!r}; there are {', '.join(PEERS)}")
        rates = self.learning_rates
        if not rates or min(rates) <= 0 or len(set(rates)) < len(rates):
            raise ConfigurationError(f"learning rates are distinct and above 0, such as 3e-4,1e-3, not {list(rates)}")

    @property
    def trial_budget(self) -> Budget:
        """Of each trial."""
        return self.budget if self.trial_episodes is None else replace(self.budget, n_episodes=self.trial_episodes)


class _Stopped(Exception):
    """A signal came, or the time of the call is up."""


def compare(
    config: ComparisonConfig,
    classes: Sequence[DefectClass],
    out: Path,
    *,
    weights: Path,
    device: torch.device,
    hours: float = math.inf,
    note: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Trains and measures what the folder lacks, and writes the table after each row.

    Args:
        config: What is compared.
        classes: Real classes to measure on, from `open_folder`.
        out: Folder of the comparison, made when missing.
        weights: Shipped weights: a row of their own, and the trunk of the training-free rows.
        device: Where everything runs.
        hours: Time for this call, in hours; the next one goes on.
        note: What the numbers are for, such as `tuning` or `final`.
        tell: Takes a line now and then.

    Raises:
        ConfigurationError: The folder holds trials with other settings, or the weights are not of the metal preset.
        DatasetError: A class cannot serve the protocol.
        WeightsError: Weights cannot be read.
    """
    deadline_s = time.monotonic() + hours * _SECONDS_PER_HOUR
    scout = Trainer(config.trial_budget, out / "trials", device)
    trainer = scout if config.trial_budget == config.budget else Trainer(config.budget, out / "runs", device)
    place = RowMeasurement(
        folder=out / "rows",
        classes=classes,
        config=config.evaluation,
        side_px=config.budget.training.size_px,
        device=device,
        precision=config.precision,
        progress=partial(_check_time, deadline_s),
    )
    comparison = Comparison(config.evaluation, note)
    try:
        for contender in _untrained(weights, device):
            comparison = _with_row(comparison, place, contender, out, tell)
        for peer in config.peers:
            trials = [_trial(scout, peer, rate, deadline_s, tell) for rate in config.learning_rates]
            rate = max(trials, key=lambda each: each.held_out_iou).learning_rate
            comparison = comparison.with_trials(trials)
            for contender in _trained(trainer, _trial(trainer, peer, rate, deadline_s, tell)):
                comparison = _with_row(comparison, place, contender, out, tell)
    except _Stopped:
        return comparison
    return comparison.completed()


def _with_row(
    comparison: Comparison, place: RowMeasurement, contender: Contender, out: Path, tell: Callable[[str], None]
) -> Comparison:
    tell(f"measuring {contender.name}")
    longer = comparison.with_row(place.measure(contender))
    write_comparison(longer, out)
    return longer


def _check_time(deadline_s: float, _: Step | None = None) -> None:
    if time.monotonic() >= deadline_s:
        raise _Stopped


def _trial(
    trainer: Trainer, peer: str, learning_rate: float, deadline_s: float, tell: Callable[[str], None]
) -> TrialOutcome:
    _check_time(deadline_s)
    tell(f"training {peer}, learning rate {learning_rate:g}")
    outcome = trainer.run(peer, learning_rate, deadline_s)
    if outcome is None:
        raise _Stopped
    return outcome


def _untrained(weights: Path, device: torch.device) -> Iterator[Contender]:
    """Rows of the shipped weights: as they are, and their trunk alone under each training-free rule."""
    digest = weights_digest(weights)
    yield Contender(SHIPPED, "shipped", digest, partial(load_weights, weights, device))
    for name, rule in TRAINING_FREE.items():
        yield Contender(name, "training-free", digest, partial(_on_trunk, rule, weights, device))


def _on_trunk(rule: Callable[..., FewShotNetwork], weights: Path, device: torch.device) -> FewShotNetwork:
    return rule(load_weights(weights, device))


def _trained(trainer: Trainer, trial: TrialOutcome) -> Iterator[Contender]:
    """The network as its peers are measured, and ours once more as it is served: fitted to its shots."""
    plain = Contender(
        name=trial.peer,
        kind="trained here",
        digest=weights_digest(trial.weights),
        build=partial(_unfitted, trainer, trial),
        wrap=partial(on_any_image, trial.peer, side_px=trainer.side_px),
        learning_rate=trial.learning_rate,
        held_out_iou=trial.held_out_iou,
        n_episodes=trial.n_episodes,
    )
    yield plain
    if trial.peer == METAL:
        yield replace(plain, name=FITTED, build=partial(trainer.load, trial))


def _unfitted(trainer: Trainer, trial: TrialOutcome) -> FewShotNetwork:
    network = trainer.load(trial)
    network.fitted = ()
    return network
