"""Any image for networks that pair equal positions: support and query are fitted into one square."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.lerenet import IGNORE_INDEX

if TYPE_CHECKING:
    from lerenet.inference.protocol import FewShotNetwork
    from lerenet.network.encoding import SupportEncoding
    from lerenet.network.features import Features


class CommonSquare(nn.Module):
    """Fits each image's longest side to a square and pads the rest with black; logits come back at the image's size.

    Source: the authors' validation of LERENet (DingH2E/LDMP-RENet-main @5b9e585): longest side to 200 px, zero padding,
        label padding 255. We differ: shorter sides are not cut to multiples of 8, and shrinking averages.

    Args:
        network: Speaks the protocol of `LERENet`; its mode stays.
        side_px: Side of the square, a multiple of the network's stride.
    """

    def __init__(self, network: FewShotNetwork, side_px: int) -> None:
        super().__init__()
        if side_px % network.stride_multiple:
            raise ValueError(f"a square of {side_px} px does not fit strides of {network.stride_multiple} px; round it")
        self.network = network
        self.side_px = side_px
        if isinstance(network, nn.Module):
            self.train(network.training)

    @property
    def stride_multiple(self) -> int:
        """Images must have sides that are multiples of it."""
        return self.network.stride_multiple

    def features(self, images: Tensor) -> Features:
        """Features of the fitted images; `size` is that of the images as given.

        Args:
            images: (B, 3, H, W) float32 RGB in 0 … 1.
        """
        fitted = self._padded(_resized(images, self._fitted_size(images)), 0.0)
        return replace(self.network.features(fitted), size=(images.shape[-2], images.shape[-1]))

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """The encoding of B classes; see `LERENet.summarise`."""
        fitted = F.interpolate(masks[:, None].float(), self._fitted_size(masks), mode="nearest-exact")[:, 0]
        inner = None if normals is None else self._inner(normals)
        return self.network.summarise(self._inner(features), self._padded(fitted, IGNORE_INDEX), shots, inner)

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """Logits (P, 2, H, W) of P pairs of image and class; see `LERENet.segment`."""
        logits = self.network.segment(self._inner(features), encoding, image_index)
        h, w = self._fitted(features.size)
        return _resized(logits[..., :h, :w], features.size)

    def _inner(self, features: Features) -> Features:
        return replace(features, size=(self.side_px, self.side_px))

    def _fitted_size(self, images: Tensor) -> tuple[int, int]:
        return self._fitted((images.shape[-2], images.shape[-1]))

    def _fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        longest = max(size)
        height, width = (max(1, round(side * self.side_px / longest)) for side in size)
        return height, width

    def _padded(self, maps: Tensor, value: float) -> Tensor:
        return F.pad(maps, (0, self.side_px - maps.shape[-1], 0, self.side_px - maps.shape[-2]), value=value)


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if (maps.shape[-2], maps.shape[-1]) == size:
        return maps
    return F.interpolate(maps.float(), size, mode="bilinear", align_corners=False, antialias=True)
