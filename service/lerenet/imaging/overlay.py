"""Masks painted over images, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lerenet.imaging.images import Image
from lerenet.imaging.masks import Mask
from lerenet.imaging.png import class_colour


def as_rgb(image: Image) -> Image:
    """Any image as (H, W, 3) uint8 RGB; grey is repeated."""
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def overlay(image: Image, mask: Mask, colour: Sequence[int] = class_colour(1), opacity: float = 0.45) -> Image:
    """Tint what is marked and draw its outline in full colour.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        mask: (H, W) uint8 in {0, 1}.
        colour: RGB, 0 … 255, as `class_colour` gives for a class.
        opacity: Strength of the tint inside the outline, 0 … 1.

    Returns:
        (H, W, 3) uint8 RGB, a new array.
    """
    painted = as_rgb(image).astype(np.float32)
    marked = mask.astype(bool)
    weight = np.where(_outline(marked), 1.0, opacity * marked)[:, :, None]
    tint = np.array(list(colour), np.float32)
    blended: Image = np.rint(painted * (1 - weight) + tint * weight).astype(np.uint8)
    return blended


def _outline(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(marked, 1)
    core: NDArray[np.bool_] = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    outline: NDArray[np.bool_] = marked & ~core
    return outline


def tiled(rows: Sequence[Sequence[Image]], gap_px: int = 4) -> Image:
    """Lay images out in rows on white, every cell as large as the largest image; (H, W, 3) uint8."""
    cells = [image for row in rows for image in row]
    height, width = max(cell.shape[0] for cell in cells), max(cell.shape[1] for cell in cells)
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap_px) + gap_px, columns * (width + gap_px) + gap_px, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            top, left = gap_px + y * (height + gap_px), gap_px + x * (width + gap_px)
            sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = as_rgb(cell)
    return sheet
