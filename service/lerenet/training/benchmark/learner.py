"""The authors' optimisation: plain SGD with poly decay, a slow backbone, and cross-entropy alone.

Source: DingH2E/LDMP-RENet-main @5b9e585: momentum 0.9, weight decay 1e-4, base rate 5e-4; the backbone learns at a
    tenth of it, everything else at ten times. We differ: a backbone without pretrained weights learns like everything
    else, since a tenth would leave it as it was drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from lerenet.errors import ConfigurationError
from lerenet.network.lerenet import IGNORE_INDEX
from lerenet.training.average import MovingAverage
from lerenet.training.episodes import pad_to_stride
from lerenet.training.learner import StepReport

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import TrainingConfig

BASE_RATE, WEIGHT_DECAY, POLY_POWER = 5e-4, 1e-4, 0.9
PRETRAINED_FACTOR, HEAD_FACTOR = 0.1, 10.0
_MOMENTUM = 0.9


class SgdLearner:
    """A network with the authors' optimiser; speaks as `training.learner.Learner` does.

    Args:
        network: Moved to the device; its parameters change with every step.
        config: Of the run.
        device: Where the steps run.
        is_pretrained: Whether the backbone knows something already.
    """

    def __init__(self, network: LERENet, config: TrainingConfig, device: torch.device, *, is_pretrained: bool) -> None:
        self.network = network.to(device).train()
        # A decay of 0 makes the average the network itself: the authors keep none.
        self.average: MovingAverage[LERENet] = MovingAverage(self.network, 0.0)
        self.n_skipped = 0
        self._config = config
        self._device = device
        self._optimiser = torch.optim.SGD(
            _parameter_groups(self.network, is_pretrained=is_pretrained),
            lr=config.learning_rate,
            momentum=_MOMENTUM,
            weight_decay=config.weight_decay,
        )

    def step(self, images: Tensor, masks: Tensor, index: int, learning_rate: float) -> StepReport:
        """Learns from one batch.

        Args:
            images: (B, 1 + K, 3, S, S) uint8 RGB, the query first.
            masks: (B, 1 + K, S, S) uint8 in {0, 1, 255}.
            index: Number of the step.
            learning_rate: Base rate of this step, before the factor of each group.

        Raises:
            ConfigurationError: The loss is not finite.
        """
        logits = segment_episodes(self.network, images, masks, self._device)
        target = masks[:, 0].to(self._device)
        loss = functional.cross_entropy(logits, target.long(), ignore_index=IGNORE_INDEX)
        self._optimiser.zero_grad(set_to_none=True)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ConfigurationError(
                f"the loss of step {index} is {value}; resume with a lower learning_rate than "
                f"{self._config.learning_rate} in a new run folder, or start from a pretrained backbone"
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self._optimiser.step()
        self.average.update(self.network)
        return StepReport(value, value, 0.0, _pooled_iou(logits, target), 0.0, is_skipped=False)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {"network": self.network.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where `state_dict` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.update(self.network)
        self._optimiser.load_state_dict(state["optimiser"])


def segment_episodes(network: LERENet, images: Tensor, masks: Tensor, device: torch.device) -> Tensor:
    """Logits (B, 2, S, S) float32 of the queries of episodes.

    Args:
        network: In training or evaluation mode.
        images: (B, 1 + K, 3, S, S) uint8 RGB, the query first.
        masks: (B, 1 + K, S, S) uint8 in {0, 1, 255}; that of the query is not looked at.
        device: Of the network.
    """
    shape = masks.shape[:2]
    pixels = images.to(device).flatten(0, 1).float() / 255
    padded, labels = pad_to_stride(pixels, masks.to(device).flatten(0, 1), network.stride_multiple)
    padded, labels = padded.unflatten(0, shape), labels.unflatten(0, shape)
    logits: Tensor = network(padded[:, 0], padded[:, 1:], labels[:, 1:])
    side = masks.shape[-1]
    return logits[..., :side, :side].float()


def poly_factor(progress: float, warmup: float) -> float:
    """Factor of the base rate at a share of the run, 0 to 1; there is no warm-up."""
    return float((1 - progress) ** POLY_POWER)


def _parameter_groups(network: LERENet, *, is_pretrained: bool) -> list[dict[str, Any]]:
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {
            "params": [parameter for parameter in parameters if id(parameter) in backbone],
            "factor": PRETRAINED_FACTOR if is_pretrained else HEAD_FACTOR,
        },
        {"params": [parameter for parameter in parameters if id(parameter) not in backbone], "factor": HEAD_FACTOR},
    ]


def _pooled_iou(logits: Tensor, target: Tensor) -> float:
    is_counted = target != IGNORE_INDEX
    predicted, actual = (logits[:, 1] > logits[:, 0]) & is_counted, target == 1
    union = int((predicted | actual).sum())
    return int((predicted & actual).sum()) / union if union else 1.0
