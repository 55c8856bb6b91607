"""Seeded random numbers, and the `Parameters` that they fill."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
"""Named values with one leading axis: one entry per episode, or per plate."""

Range = tuple[float, float]


class Draw:
    """Random numbers from one seed, on one device: the same calls in the same order give the same plates."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self.generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform float32 in [low, high)."""
        return torch.rand(shape, generator=self.generator, device=self.device) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        """Standard normal float32."""
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, probability: float | Tensor, *shape: int) -> Tensor:
        """Booleans, each true with the given probability."""
        return torch.rand(shape, generator=self.generator, device=self.device) < probability

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers in [low, high)."""
        return torch.randint(low, high, shape, generator=self.generator, device=self.device)

    def sign(self, positive: float, *shape: int) -> Tensor:
        """+1 with the given probability, otherwise -1."""
        return self.chance(positive, *shape).float() * 2 - 1

    def within(self, ranges: Mapping[str, Range]) -> dict[str, float]:
        """One value for each named range: uniform, or log-uniform for names that end in `_px`."""
        values = torch.rand(len(ranges), generator=self.generator, device=self.device).tolist()
        return {name: _scale(name, u, *ranges[name]) for name, u in zip(ranges, values, strict=True)}


def _scale(name: str, u: float, low: float, high: float) -> float:
    if name.endswith("_px"):
        return low * math.exp(u * math.log(high / low))
    return low + u * (high - low)


def stack(rows: list[dict[str, float]], device: torch.device) -> Parameters:
    """Turn one dictionary per episode into one tensor (B,) float32 per name."""
    return {name: torch.tensor([row[name] for row in rows], device=device) for name in rows[0]}


def take(parameters: Parameters, index: Tensor) -> Parameters:
    """Select (or repeat) entries along the leading axis."""
    return {name: values[index] for name, values in parameters.items()}


def over_plane(values: Tensor) -> Tensor:
    """(P,) to (P, 1, 1), so that one value spreads over its plate."""
    return values[:, None, None]
