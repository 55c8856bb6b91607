"""How well the averaged weights do on held-out synthetic classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from lerenet.training.episodes import draw_supports
from lerenet.training.learner import episode_logits

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import TrainingConfig
    from lerenet.training.episodes import EpisodeSource

FALSE_ALARM_AREA = 5e-4
"""Share of a defect-free image that must be marked to count as a false alarm: 20 pixels of 200 x 200."""


@dataclass(frozen=True, slots=True)
class Judgement(ABC):
    """What held-out images say about weights; its fields become a row of the history."""

    @property
    @abstractmethod
    def iou(self) -> float:
        """What the best weights are chosen by, 0 to 1."""

    @abstractmethod
    def describe(self) -> str:
        """In one line."""


class HeldOut(Protocol):
    """A fixed set of episodes that nothing is learnt from."""

    def validate(self, network: LERENet, device: torch.device) -> Judgement:
        """Measures a network in evaluation mode. Calls with equal weights give equal judgements."""
        ...


@dataclass(frozen=True, slots=True)
class ValidationReport(Judgement):
    """Means over the held-out classes.

    Attributes:
        iou_one_shot: Mean over classes of the IoU of all its queries' pixels (defect-free queries included), 1 shot.
        iou_several_shots: The same with as many shots as an episode has.
        false_alarm_rate: Share of defect-free queries with more than `FALSE_ALARM_AREA` marked, over both settings.
    """

    iou_one_shot: float
    iou_several_shots: float
    false_alarm_rate: float

    @property
    def iou(self) -> float:
        """What the best weights are chosen by: the mean of both settings."""
        return (self.iou_one_shot + self.iou_several_shots) / 2

    def describe(self) -> str:
        """See `Judgement`."""
        return (
            f"held-out IoU {self.iou_one_shot:.3f} with 1 shot, {self.iou_several_shots:.3f} with several · "
            f"false alarms {self.false_alarm_rate:.1%}"
        )


class HeldOutPlates:
    """A fixed set of episodes, made once and held in memory.

    Args:
        source: Its batch i is one episode.
        config: Gives the number of episodes, the seed of the draws and the precision.
    """

    def __init__(self, source: EpisodeSource, config: TrainingConfig) -> None:
        self._config = config
        self._episodes = [source[index] for index in range(config.validation_episodes)]

    def validate(self, network: LERENet, device: torch.device) -> ValidationReport:
        """Measures a network in evaluation mode. Calls with equal weights give equal reports."""
        one = self._measure(network, device, 1)
        several = self._measure(network, device, self._config.validation_images - 1)
        alarms = torch.cat([alarm for _, alarm in one + several]).float()
        return ValidationReport(
            iou_one_shot=_mean_iou([counts for counts, _ in one]),
            iou_several_shots=_mean_iou([counts for counts, _ in several]),
            false_alarm_rate=float(alarms.mean()) if len(alarms) else 0.0,
        )

    @torch.no_grad()
    def _measure(self, network: LERENet, device: torch.device, n_shots: int) -> list[tuple[Tensor, Tensor]]:
        random = np.random.default_rng([self._config.validation_seed, n_shots])
        results = []
        for images, masks in self._episodes:
            draw = draw_supports(masks.flatten(2).any(dim=2), n_shots, random)
            logits, targets = episode_logits(network, images, masks, draw, device, self._config.precision)
            results.append(_count(logits[:, 1] > logits[:, 0], targets > 0))
        return results


def _count(predicted: Tensor, actual: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels in (both, either) of one episode, and whether each of its defect-free queries is a false alarm."""
    counts = torch.stack([(predicted & actual).sum(), (predicted | actual).sum()]).cpu()
    is_normal = ~actual.flatten(1).any(dim=1)
    return counts, (predicted[is_normal].flatten(1).float().mean(dim=1) > FALSE_ALARM_AREA).cpu()


def _mean_iou(counts: list[Tensor]) -> float:
    both, either = torch.stack(counts).double().unbind(dim=1)
    return float((both / either.clamp_min(1)).mean())
