"""What a row costs: parameters, and multiply-accumulates of an image and of a class on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lerenet.evaluation.baselines.cosine import CosineComparison

if TYPE_CHECKING:
    from lerenet.inference.protocol import FewShotNetwork


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a network.

    Attributes:
        n_parameters: What was learnt; of a training-free row the trunk alone.
        shared_gmac: Billions of multiply-accumulates for one image, whatever the classes.
        class_gmac: For one 1-shot class on one image.
    """

    n_parameters: int
    shared_gmac: float
    class_gmac: float


@torch.no_grad()
def measure_cost(network: FewShotNetwork, side_px: int, device: torch.device) -> Cost:
    """Counts products and convolutions on one square image.

    Args:
        network: On the device, in eval mode.
        side_px: Side of the image, rounded up to the network's stride.
        device: Of the network.
    """
    side = -(-side_px // network.stride_multiple) * network.stride_multiple
    images = torch.full((1, 3, side, side), 0.5, device=device)
    masks = torch.zeros(1, side, side, dtype=torch.uint8, device=device)
    masks[:, side // 4 : side // 2, side // 4 : side // 2] = 1
    with FlopCounterMode(display=False) as shared:
        features = network.features(images)
    encoding = network.summarise(features, masks, torch.zeros(1, 1, dtype=torch.int64, device=device))
    with FlopCounterMode(display=False) as per_class:
        network.segment(features, encoding)
    return Cost(_n_parameters(network), _gmac(shared), _gmac(per_class))


def _n_parameters(network: FewShotNetwork) -> int:
    learnt = network.network.backbone if isinstance(network, CosineComparison) else network
    return sum(p.numel() for p in learnt.parameters()) if isinstance(learnt, nn.Module) else 0


def _gmac(counter: FlopCounterMode) -> float:
    return counter.get_total_flops() / 2e9
