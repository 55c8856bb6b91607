"""The network as it learns: one call per batch of episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lerenet.errors import ConfigurationError
from lerenet.training.average import MovingAverage
from lerenet.training.episodes import draw_supports, pad_to_stride
from lerenet.training.losses import Losses, segmentation_losses

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import TrainingConfig
    from lerenet.training.episodes import SupportDraw

_MAX_SKIPPED_IN_A_ROW = 50


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step showed.

    Attributes:
        loss: Cross-entropy plus Dice.
        cross_entropy: Mean over the pixels.
        dice: Mean Dice loss over the queries.
        iou: Of all queries' pixels together, 0 to 1.
        gradient_norm: Before clipping.
        is_skipped: Loss or gradient were not finite, so nothing was learnt.
    """

    loss: float
    cross_entropy: float
    dice: float
    iou: float
    gradient_norm: float
    is_skipped: bool


class Learner:
    """A network with its optimiser and its moving average.

    Args:
        network: Moved to the device; its parameters change with every step.
        config: Of the run.
        device: Where the steps run.
    """

    def __init__(self, network: LERENet, config: TrainingConfig, device: torch.device) -> None:
        # Convolutions on the CPU and the GPU's tensor cores want channels innermost.
        self.network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average: MovingAverage[LERENet] = MovingAverage(self.network, config.ema_decay)
        self.n_skipped = 0
        self._skipped_in_a_row = 0
        self._config = config
        self._device = device
        self._optimiser = torch.optim.AdamW(
            _parameter_groups(self.network, config.weight_decay), lr=config.learning_rate, fused=True
        )

    def step(self, images: Tensor, masks: Tensor, index: int, learning_rate: float) -> StepReport:
        """Learns from one batch, or skips it when its loss or gradient is not finite.

        Args:
            images: (B, N, 3, S, S) uint8 RGB.
            masks: (B, N, S, S) uint8 in {0, 1}.
            index: Number of the step; decides the draw of the shots.
            learning_rate: Of this step.

        Raises:
            ConfigurationError: Too many steps in a row were skipped.
        """
        random = np.random.default_rng([self._config.seed, index])
        n_shots = int(random.integers(1, min(self._config.max_shots, masks.shape[1] - 1) + 1))
        draw = draw_supports(masks.flatten(2).any(dim=2), n_shots, random)
        torch.manual_seed(int(random.integers(2**62)))  # whatever else is drawn follows from seed and step as well
        buffers = [buffer.clone() for buffer in self.network.buffers()]
        logits, targets = episode_logits(self.network, images, masks, draw, self._device, self._config.precision)
        losses = segmentation_losses(logits, targets, self._config.dice_smoothing)
        norm = self._backward(losses)
        is_skipped = not np.isfinite([float(losses.total.detach()), norm]).all()
        if is_skipped:
            self._skip(buffers)
        else:
            self._learn(learning_rate)
        return StepReport(*_floats(losses), _pooled_iou(logits, targets), norm, is_skipped)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, as tensors (that go on changing, not copies) and numbers."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "n_updates": self.average.n_updates,
            "optimiser": self._optimiser.state_dict(),
            "n_skipped": self.n_skipped,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where `state_dict` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self.average.n_updates = state["n_updates"]
        self._optimiser.load_state_dict(state["optimiser"])
        self.n_skipped = state["n_skipped"]

    def _backward(self, losses: Losses) -> float:
        self._optimiser.zero_grad(set_to_none=True)
        losses.total.backward()
        return float(torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._config.clip_norm))

    def _learn(self, learning_rate: float) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        self._optimiser.step()
        self.average.update(self.network)
        self._skipped_in_a_row = 0

    def _skip(self, buffers: list[Tensor]) -> None:
        # The forward pass has already put its bad values into the running statistics.
        for buffer, before in zip(self.network.buffers(), buffers, strict=True):
            buffer.copy_(before)
        self.n_skipped += 1
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row > _MAX_SKIPPED_IN_A_ROW:
            raise ConfigurationError(
                f"{self._skipped_in_a_row} steps in a row had a loss or gradient that is not finite; "
                f"lower learning_rate (now {self._config.learning_rate}) or set precision to float32"
            )


def episode_logits(
    network: LERENet, images: Tensor, masks: Tensor, draw: SupportDraw, device: torch.device, precision: str
) -> tuple[Tensor, Tensor]:
    """Segments every query of a batch, with the features of each image computed once.

    Args:
        network: In training or evaluation mode.
        images: (B, N, 3, S, S) uint8 RGB.
        masks: (B, N, S, S) uint8 in {0, 1}.
        draw: P queries with K shots each.
        device: Of the network.
        precision: `bf16`, `float32`, or `auto`.

    Returns:
        Logits (P, 2, S, S) and targets (P, S, S) uint8.
    """
    flat_masks = masks.to(device, non_blocking=True).flatten(0, 1)
    pixels = images.to(device, non_blocking=True).flatten(0, 1).float() / 255
    pixels, padded_masks = pad_to_stride(pixels, flat_masks, network.stride_multiple)
    draw = draw.to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=_is_bf16(precision, device)):
        features = network.features(pixels.contiguous(memory_format=torch.channels_last))
        encoding = network.summarise(features, padded_masks, draw.support)
        logits = network.segment(features, encoding, None if len(draw.query) == len(flat_masks) else draw.query)
    s = masks.shape[-1]
    return logits[..., :s, :s], flat_masks[draw.query]


def _is_bf16(precision: str, device: torch.device) -> bool:
    """What a precision means on a device. A CPU that must emulate bfloat16 takes ten times as long with it."""
    if precision != "auto" or device.type == "cuda":
        return precision != "float32"
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Only weights of convolutions and linear maps decay: norms, biases and single numbers have fewer than two axes."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


def _floats(losses: Losses) -> tuple[float, float, float]:
    return float(losses.total.detach()), float(losses.cross_entropy.detach()), float(losses.dice.detach())


def _pooled_iou(logits: Tensor, targets: Tensor) -> float:
    predicted, actual = logits[:, 1] > logits[:, 0], targets > 0
    union = int((predicted | actual).sum())
    return int((predicted & actual).sum()) / union if union else 1.0
