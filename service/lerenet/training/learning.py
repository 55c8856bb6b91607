"""What the loop asks of whatever learns: `learner.Learner`, or the recipe of a benchmark."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import torch

from lerenet.training.config import TrainingConfig

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network.lerenet import LERENet
    from lerenet.training.average import MovingAverage
    from lerenet.training.learner import StepReport


class Learning(Protocol):
    """A network with its optimiser and its moving average."""

    n_skipped: int

    @property
    def average(self) -> MovingAverage[LERENet]:
        """What is validated and saved."""
        ...

    def step(self, images: Tensor, masks: Tensor, index: int, learning_rate: float) -> StepReport:
        """Learns from batch number `index`."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where `state_dict` was taken."""
        ...


BuildLearner = Callable[["LERENet", TrainingConfig, torch.device], Learning]
Schedule = Callable[[float, float], float]
