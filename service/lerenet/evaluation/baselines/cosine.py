"""What the training-free baselines share: they compare each cell of the query with the support, level by level."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.errors import ConfigurationError
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision, resized_to
from lerenet.network.metal.mpr import MPR
from lerenet.network.metal.names import descriptor
from lerenet.network.metal.prior import Prior
from lerenet.network.metal.support import SupportPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.network.lerenet import LERENet


class CosineComparison(nn.Module):
    """A few-shot segmenter without parameters of its own, around a trained trunk; it is called like a `LERENet`.

    Cosines to background and foreground are averaged over the levels, scaled, and taken as logits: the probability is
    0.5 where both are alike.

    Args:
        network: A trained network of the metal preset, whose backbone and rule for support cells are used.
        levels: Which of its maps, finest first, are compared.
        n_foreground: Most foreground descriptors kept of a level.
        n_background: Most background descriptors kept of a level.
        sharpness: Factor from cosines to logits. It moves no mask at the threshold 0.5.

    Raises:
        ConfigurationError: A network of another preset.
    """

    def __init__(
        self, network: LERENet, *, levels: Sequence[int], n_foreground: int, n_background: int, sharpness: float
    ) -> None:
        super().__init__()
        config = network.config
        if config.preset != "metal":
            raise ConfigurationError(f"training-free rows need weights of the metal preset, not {config.preset}")
        self.network = network
        self.levels = tuple(levels)
        self.sharpness = sharpness
        mpr, prior = cast(MPR, network.mpr), cast(Prior, network.prior)
        self.pool = SupportPool(config.descriptor_channels, n_foreground, n_background, mpr, prior.discriminant)
        self.to(network.mean.device).train(network.training)

    @property
    def stride_multiple(self) -> int:
        """Images must have sides that are multiples of it."""
        return self.network.stride_multiple

    def features(self, images: Tensor) -> Features:
        """The maps of the trunk with their descriptors.

        Args:
            images: (B, 3, H, W) float32 RGB in 0 … 1; H and W multiples of `stride_multiple`.

        Raises:
            ValueError: Another shape.
        """
        return self.network.support_features(images)

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """The encoding of B classes; see `LERENet.summarise`."""
        return cast(SupportEncoding, self.pool(features, masks, shots, normals))

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """Logits (P, 2, H, W) of P pairs of image and class; see `LERENet.segment`."""
        images = range(len(encoding)) if image_index is None else image_index.tolist()
        with full_precision(features.maps[0]):
            logits = [self._segment_pair(features, image, encoding[pair]) for pair, image in enumerate(images)]
        return torch.cat(logits)

    @abstractmethod
    def compare(self, level: int, cells: Tensor, encoding: SupportEncoding) -> Tensor:
        """Cosines of the cells of one image to background and foreground of one class.

        Args:
            level: Which map.
            cells: (d, L) float32 of unit length.
            encoding: Of one class.

        Returns:
            (2, L) float32.
        """

    def _segment_pair(self, features: Features, image: int, encoding: SupportEncoding) -> Tensor:
        """One pair at a time: the cosines of all descriptors with all cells of several would not fit into memory."""
        maps = []
        for level in self.levels:
            cells = features.shared[descriptor(level)][image]
            cosines = self.compare(level, cells.flatten(1), encoding).unflatten(1, cells.shape[1:])
            maps.append(resized_to(cosines[None], features.maps[0]))
        mean = torch.stack(maps).mean(0)
        return F.interpolate(self.sharpness * mean, features.size, mode="bilinear", align_corners=False)
