"""What inference asks of a network; baselines that speak it are tiled, batched and assessed in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network import Features, SupportEncoding


class FewShotNetwork(Protocol):
    """Features once per image, an encoding once per class, then cheap pairs of both.

    It is in eval mode, holds its own normalisation, and treats each image and each pair of a batch by itself.
    """

    @property
    def stride_multiple(self) -> int:
        """Sides of images must be multiples of this."""

    def features(self, images: Tensor) -> Features:
        """Features of images (B, 3, H, W) float32 RGB in [0, 1]."""

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Encoding of B classes from M support images.

        Args:
            features: Of the M images.
            masks: (M, H, W) uint8: 1 defect, 0 background, 255 ignore.
            shots: (B, K) int64, which of the images support each class.
            normals: Features of B * N defect-free images, N per class side by side.
        """

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """Logits (P, 2, H, W) of P encodings, each with image `image_index[p]` of the features (None: with image p)."""
