"""Between an image of the original size and what the network sees of it: the ratio, the padding, and the way back.

The working scale is the inverse of a whole *ratio* r. A frame is thought of as extended at its bottom and right, by its
own edge, to a whole number of cells of r x r pixels, and to the network's stride. So working pixel (y, x) is original
pixels [y r, (y + 1) r) x [x r, (x + 1) r): nothing is stretched, and a tile shows what the whole shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from lerenet.inference.tiles import pad_up

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray
    from torch import Tensor

    from lerenet.imaging import Image
    from lerenet.inference.tiles import Tile


def ratio_of(scale: float) -> int:
    """Original pixels per working pixel along a side.

    Raises:
        ValueError: The scale is not the inverse of a whole number.
    """
    ratio = round(1 / scale) if scale > 0 else 0
    if ratio < 1 or abs(ratio * scale - 1) > 1e-6:
        raise ValueError(f"a working scale is 1, 1/2, 1/3, ..., not {scale}")
    return ratio


def working_size(size: tuple[int, int], ratio: int, multiple: int) -> tuple[int, int]:
    """(H', W') of a frame of (H, W) original pixels at the working scale, padded up to the network's stride."""
    height, width = (pad_up(-(-side // ratio), multiple) for side in size)
    return height, width


@dataclass(frozen=True, eq=False)
class Crop:
    """A window of an image at a working scale.

    Attributes:
        image: (H, W) grey or (H, W, 3) RGB uint8, original size.
        tile: The window in working pixels; it may reach beyond the image, whose edge then goes on.
        ratio: Original pixels per working pixel.
    """

    image: Image
    tile: Tile
    ratio: int

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) at the working scale."""
        return self.tile.height, self.tile.width

    @cached_property
    def n_bytes(self) -> int:
        """Bytes of the pixels that it needs of its image."""
        return math.prod(self._shape)

    def copy_to(self, pixels: NDArray[np.uint8]) -> None:
        """Writes the pixels that it needs into (n_bytes,) uint8; beyond the bottom and the right the edge goes on."""
        (top, bottom), (left, right) = self._window
        height, width = self.image.shape[:2]
        inside = self.image[min(top, height - 1) : bottom, min(left, width - 1) : right]
        h, w = inside.shape[:2]
        window = pixels.reshape(self._shape)
        window[:h, :w] = inside
        window[:h, w:] = inside[:, -1:]
        window[h:] = window[h - 1]

    @property
    def kind(self) -> Hashable:
        """Crops of one kind are seen in the same way."""
        return self._shape, self._margins, self.size, self.ratio

    def seen(self, pixels: Tensor) -> Tensor:
        """What the network sees of crops of this kind, averaged down by an antialiased bilinear filter on their device.

        Args:
            pixels: (k * n_bytes,) uint8 of k crops, each as `copy_to` writes them.

        Returns:
            (k, 1, h, w) or (k, 3, h, w) float32 in [0, 1].
        """
        tile, (above, left), below = self.tile, self._margins, self._reach
        planes = pixels.view(-1, *self._shape).float().div_(255)
        planes = planes[:, None] if planes.ndim == 3 else planes.permute(0, 3, 1, 2)
        if self.ratio > 1:
            small = (tile.height + above + below, tile.width + left + below)
            planes = F.interpolate(planes, size=small, mode="bilinear", align_corners=False, antialias=True)
        return planes[..., above : above + tile.height, left : left + tile.width]

    @property
    def _reach(self) -> int:
        """How far the filter of a pixel reaches beyond it, in working pixels."""
        return 1 if self.ratio > 1 else 0

    @cached_property
    def _margins(self) -> tuple[int, int]:
        """Working pixels above and to the left of the tile that its filter needs."""
        return min(self._reach, self.tile.top), min(self._reach, self.tile.left)

    @cached_property
    def _window(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last row, first and last column of the original pixels that it needs, the last ones excluded."""
        tile, reach, ratio = self.tile, self._reach, self.ratio
        above, left = self._margins
        rows = ((tile.top - above) * ratio, (tile.bottom + reach) * ratio)
        return rows, ((tile.left - left) * ratio, (tile.right + reach) * ratio)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        (top, bottom), (left, right) = self._window
        return (bottom - top, right - left, *self.image.shape[2:])


def enlarge(logits: Tensor, ratio: int) -> Tensor:
    """Logits at the working scale, brought to original pixels by bilinear interpolation.

    Args:
        logits: (P, h, w) float32.
        ratio: Original pixels per working pixel.

    Returns:
        (P, h * ratio, w * ratio) float32.
    """
    if ratio == 1:
        return logits
    height, width = logits.shape[-2:]
    size = (height * ratio, width * ratio)
    return F.interpolate(logits[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def to_probability(logits: Tensor) -> NDArray[np.uint8]:
    """Probability maps q = round(255 sigmoid(logits)), uint8, of the same shape, in host memory.

    Args:
        logits: Foreground logits, float32, of any shape.
    """
    q: NDArray[np.uint8] = torch.sigmoid(logits).mul_(255).round_().to(torch.uint8).cpu().numpy()
    return q
