"""The moving average of the weights, which is what gets validated and shipped."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

Network = TypeVar("Network", bound=nn.Module)


class MovingAverage(Generic[Network]):
    """Keeps `network`, a copy whose parameters follow those of another slowly.

    Args:
        source: The network in training; not changed.
        decay: Share of the old average that stays at each update, 0 to below 1. The first updates keep less
            ((1 + n) / (10 + n) at update n), so that random initial weights are soon forgotten.
    """

    def __init__(self, source: Network, decay: float) -> None:
        self.network = copy.deepcopy(source).eval().requires_grad_(False)
        self.n_updates = 0
        self._decay = decay

    def update(self, source: Network) -> None:
        """Moves the average towards the parameters of `source` and copies its buffers."""
        decay = min(self._decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        average: list[Tensor] = list(self.network.parameters())
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in source.parameters()], 1 - decay)
            for kept, buffer in zip(self.network.buffers(), source.buffers(), strict=True):
                kept.copy_(buffer)
