"""A network without weights, so simple that its answers are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lerenet.network import Features, SupportEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CPU = torch.device("cpu")


class Brightness:
    """Finds what is bright: a pixel's logit is `sharpness * (brightness - level)`. The level is that of the class.

    Remembers what it was asked.

    Attributes:
        confidence: As a weights file might bring it.
        batches: Shape of each batch of images.
        pairs: Number of pairs of each call of `segment`.
        shots: Support images of each encoding.
        masks: Masks of each call of `summarise`.
        n_normals: Defect-free images of each call of `summarise`.
    """

    def __init__(self, stride_multiple: int = 16, sharpness: float = 20.0) -> None:
        self.stride_multiple = stride_multiple
        self.sharpness = sharpness
        self.confidence: tuple[float, float, float] | None = None
        self.batches: list[tuple[int, ...]] = []
        self.pairs: list[int] = []
        self.shots: list[list[int]] = []
        self.n_normals: list[int] = []
        self.masks: list[Tensor] = []

    def features(self, images: Tensor) -> Features:
        assert images.dtype == torch.float32
        assert images.shape[-2] % self.stride_multiple == images.shape[-1] % self.stride_multiple == 0
        self.batches.append(tuple(images.shape))
        return Features((images.mean(1, keepdim=True),), (images.shape[-2], images.shape[-1]), {})

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        self.shots += shots.tolist()
        self.masks.append(masks)
        self.n_normals.append(0 if normals is None else len(normals))
        levels = [self._level(features.maps[0][own, 0], masks[own]) for own in shots]
        return SupportEncoding({"level": torch.stack(levels)[:, None]})

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        self.pairs.append(len(encoding))
        maps = features.maps[0] if image_index is None else features.maps[0][image_index]
        logit = self.sharpness * (maps[:, 0] - encoding.tensors["level"][:, :, None])
        return torch.stack([torch.zeros_like(logit), logit], dim=1)

    def _level(self, brightness: Tensor, masks: Tensor) -> Tensor:
        return (brightness[masks == 1].mean() + brightness[masks == 0].mean()) / 2


def encoding_of(level: float) -> SupportEncoding:
    """What `Brightness` keeps of a class."""
    return SupportEncoding({"level": torch.tensor([[level]])})


def largest_difference(maps: Sequence[NDArray[np.uint8]], others: Sequence[NDArray[np.uint8]]) -> int:
    """Largest difference of two lists of 8-bit maps."""
    pairs = zip(maps, others, strict=True)
    return max(int(np.abs(one.astype(int) - other.astype(int)).max()) for one, other in pairs)
