"""Between an image of the original size and what the network sees of it: the ratio, the padding, and the way back.

The working scale is the inverse of a whole *ratio* r. A frame is thought of as extended at its bottom and right, by its
own edge, to a whole number of cells of r x r pixels, and to the network's stride. So working pixel (y, x) is original
pixels [y r, (y + 1) r) x [x r, (x + 1) r): nothing is stretched, and a tile shows what the whole shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from lerenet.inference.tiles import pad_up

if TYPE_CHECKING:
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


@dataclass(frozen=True, eq=False, slots=True)
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

    def to_network(self, device: torch.device) -> Tensor:
        """What the network sees, averaged down by an antialiased bilinear filter on the device; pixels travel as bytes.

        Returns:
            (3, h, w) float32 RGB in [0, 1]; a grey image three times.
        """
        tile, ratio = self.tile, self.ratio
        margin = 1 if ratio > 1 else 0  # as far as the filter of a pixel reaches beyond it, in working pixels
        above, left = min(margin, tile.top), min(margin, tile.left)
        rows = ((tile.top - above) * ratio, (tile.bottom + margin) * ratio)
        columns = ((tile.left - left) * ratio, (tile.right + margin) * ratio)
        pixels = torch.from_numpy(_cut(self.image, rows, columns)).to(device).float().div_(255)
        planes = (pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1))[None]
        if ratio > 1:
            small = (tile.height + above + margin, tile.width + left + margin)
            planes = F.interpolate(planes, size=small, mode="bilinear", align_corners=False, antialias=True)
        return planes[0, :, above : above + tile.height, left : left + tile.width].expand(3, -1, -1)


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


def _cut(image: Image, rows: tuple[int, int], columns: tuple[int, int]) -> Image:
    """A writable copy of image[rows, columns]; beyond the bottom and the right the edge goes on."""
    height, width = image.shape[:2]
    inside = image[min(rows[0], height - 1) : rows[1], min(columns[0], width - 1) : columns[1]]
    missing = [(0, rows[1] - rows[0] - inside.shape[0]), (0, columns[1] - columns[0] - inside.shape[1])]
    return np.pad(inside, [*missing, (0, 0)][: image.ndim], mode="edge")
