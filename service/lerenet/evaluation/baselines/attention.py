"""Attention blocks of CPANet: relations between positions, and gates of channels and positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.layers import on_grid

_REDUCTION = 4
_SPATIAL_KERNEL = 7


class NonLocal(nn.Module):
    """Adds to each position a sum of all others, weighted by likeness; it starts as the identity.

    Source: Non-local Neural Networks (arXiv 1711.07971), embedded Gaussian, keys and values pooled 2 x 2, c / 2
        channels inside, as CPANet uses it.

    Args:
        n_channels: c.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        inner = n_channels // 2
        self.query, self.key, self.value = (nn.Conv2d(n_channels, inner, 1) for _ in range(3))
        self.expand = nn.Conv2d(inner, n_channels, 1)
        self.norm = nn.BatchNorm2d(n_channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(M, c, h, w) to the same."""
        pooled = F.max_pool2d(x, 2)
        queries, keys, values = self.query(x), self.key(pooled), self.value(pooled)
        likeness = (queries.flatten(2).mT @ keys.flatten(2)).softmax(2)  # (M, h * w, cells of the pooled map)
        gathered = on_grid((likeness @ values.flatten(2).mT).mT, x)
        result: Tensor = x + self.norm(self.expand(gathered))
        return result


class ChannelThenSpatial(nn.Module):
    """Gates channels by their mean and maximum over positions, then positions by those over channels.

    Source: CBAM (arXiv 1807.06521). We differ: channels are squeezed by 4 instead of 16, as there are few.

    Args:
        n_channels: c.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        squeezed = n_channels // _REDUCTION
        self.gate = nn.Sequential(nn.Linear(n_channels, squeezed), nn.ReLU(), nn.Linear(squeezed, n_channels))
        self.locate = nn.Conv2d(2, 1, _SPATIAL_KERNEL, padding=_SPATIAL_KERNEL // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(P, c, h, w) to the same."""
        channels = torch.sigmoid(self.gate(x.mean((2, 3))) + self.gate(x.amax((2, 3))))
        gated = x * channels[..., None, None]
        summary = torch.cat([gated.mean(1, keepdim=True), gated.amax(1, keepdim=True)], dim=1)
        return gated * torch.sigmoid(self.locate(summary))
