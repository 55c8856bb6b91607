"""Which parts of a support image the network sees: all of a small one, crops around the defects of a large one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from lerenet.inference.regions import EIGHT_NEIGHBOURS
from lerenet.inference.tiles import Tile, pad_up
from lerenet.network import IGNORE_INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lerenet.imaging import Mask

SUPPORT_SIDE_PX = 512
"""Longest side of a support image or crop, at the working scale."""

MAX_CROPS = 32
"""Crops of a class, shared out evenly between its shots; each gets one at least, and `MAX_CROPS_PER_SHOT` at most."""

MAX_CROPS_PER_SHOT = 4

SPREAD = ((0.0, 1 / 3), (1 / 3, 1.0), (2 / 3, 0.0), (1.0, 2 / 3))
"""Where the crops of a large defect-free image lie, as fractions of its free height and width: once in every row and
column of a 4 x 4 grid."""


def crops_per_image(n_images: int) -> int:
    """How many crops each of `n_images` support images may give."""
    return max(1, min(MAX_CROPS_PER_SHOT, MAX_CROPS // max(n_images, 1)))


def shrink_mask(mask: Mask, ratio: int) -> Mask:
    """A mask at the working scale: cells at least half covered; when there are none, those covered most.

    Args:
        mask: (H, W) uint8 in {0, 1}.
        ratio: Original pixels per cell along a side.

    Returns:
        (ceil(H / ratio), ceil(W / ratio)) uint8 in {0, 1}; marks something wherever `mask` does.
    """
    if ratio == 1:
        return mask
    height, width = mask.shape
    padded = np.pad(mask, ((0, -height % ratio), (0, -width % ratio)), mode="edge")
    h, w = padded.shape[0] // ratio, padded.shape[1] // ratio
    counts = padded.reshape(h, ratio, w, ratio).sum(axis=(1, 3), dtype=np.int32)
    most = int(counts.max(initial=0))
    level = min(ratio * ratio / 2, most) if most else np.inf
    return np.asarray(counts >= level, np.uint8)


def mask_of(small: Mask, tile: Tile) -> NDArray[np.uint8]:
    """What a tile shows of a mask at the working scale, and `IGNORE_INDEX` beyond the image.

    Returns:
        (tile.height, tile.width) uint8 in {0, 1, 255}.
    """
    part = np.full((tile.height, tile.width), IGNORE_INDEX, np.uint8)
    inside = small[tile.top : tile.bottom, tile.left : tile.right]
    part[: inside.shape[0], : inside.shape[1]] = inside
    return part


def cut_support(small: Mask, *, side_px: int, multiple: int, max_crops: int) -> list[Tile]:
    """Windows of a support image, all of one size: the whole when it fits, otherwise around what is marked.

    Each window is centred on the largest region, or piece of one, that no earlier window shows.

    Args:
        small: (h, w) uint8 in {0, 1}, the mask at the working scale.
        side_px: Longest side of a window.
        multiple: Sides of windows are multiples of this.
        max_crops: Most windows; with many or large regions some of what is marked stays unseen.

    Returns:
        One window at least.
    """
    height, width = (_window_side(side, side_px, multiple) for side in small.shape)
    if height >= small.shape[0] and width >= small.shape[1]:
        return [Tile(0, 0, height, width)]
    unseen = small.copy()
    windows: list[Tile] = []
    while len(windows) < max_crops and unseen.any():
        y, x = _middle_of_largest(unseen)
        windows.append(Tile(_place(y, height, small.shape[0]), _place(x, width, small.shape[1]), height, width))
        unseen[windows[-1].top : windows[-1].bottom, windows[-1].left : windows[-1].right] = 0
    return windows or [Tile(0, 0, height, width)]


def cut_normals(sizes: Sequence[tuple[int, int]], *, side_px: int, multiple: int, max_crops: int) -> list[list[Tile]]:
    """Windows of defect-free images, all of one size that fits inside the smallest, so that nothing is padded.

    Args:
        sizes: (h, w) of each image at the working scale, at least one.
        side_px: Longest side of a window.
        multiple: Sides of windows are multiples of this; an image smaller than that is padded after all.
        max_crops: Most windows of one image; they lie spread over it.
    """
    height, width = (_side_within(min(sides), side_px, multiple) for sides in zip(*sizes, strict=True))
    return [_spread((height, width), size, max_crops) for size in sizes]


def _window_side(side: int, side_px: int, multiple: int) -> int:
    return min(pad_up(side, multiple), max(side_px // multiple, 1) * multiple)


def _side_within(side: int, side_px: int, multiple: int) -> int:
    return max(min(side, side_px) // multiple, 1) * multiple


def _place(centre: int, length: int, side: int) -> int:
    """Start of a window around `centre` that stays inside `side` as far as it can."""
    return max(0, min(centre - length // 2, side - length))


def _middle_of_largest(marked: Mask) -> tuple[int, int]:
    """The pixel of the largest region that lies nearest to its centre of mass."""
    top, left = int(marked.any(axis=1).argmax()), int(marked.any(axis=0).argmax())
    labels, _ = ndimage.label(marked[top:, left:], structure=EIGHT_NEIGHBOURS)
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    points = np.argwhere(labels == largest)
    y, x = points[((points - points.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return top + int(y), left + int(x)


def _spread(window: tuple[int, int], size: tuple[int, int], max_crops: int) -> list[Tile]:
    """One window per window's worth of pixels; a single one in the middle."""
    n = min(max_crops, round(size[0] * size[1] / (window[0] * window[1])))
    free = tuple(max(side - length, 0) for side, length in zip(size, window, strict=True))
    places = SPREAD[:n] if n > 1 else ((0.5, 0.5),)
    return [Tile(round(free[0] * y), round(free[1] * x), *window) for y, x in places]
