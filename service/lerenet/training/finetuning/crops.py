"""From a real image to a training crop: a window at the working scale, turned, flipped, zoomed, relit and noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from lerenet.imaging.overlay import as_rgb
from lerenet.imaging.shots import Shot
from lerenet.inference.crops import shrink_mask

if TYPE_CHECKING:
    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask

_ON_DEFECT = 0.8
_LOG_ZOOM = 0.2
_LOG_GAIN, _LOG_GAMMA, _NOISE_LEVELS = 0.25, 0.2, 4.0


def shrunken(shot: Shot, ratio: int) -> Shot:
    """A shot at the working scale 1 / ratio, as registration sees it; colour is kept, grey stays grey."""
    if ratio == 1:
        return shot
    mask = shrink_mask(shot.mask, ratio)
    image = np.asarray(Pillow.fromarray(shot.image).reduce(ratio))
    return Shot(image[: mask.shape[0], : mask.shape[1]], mask)


def random_crop(shot: Shot, side_px: int, random: np.random.Generator) -> Shot:
    """A varied square of an image.

    Args:
        shot: At the working scale, of any size; a smaller one is continued by its mirror image, mask and all.
        side_px: S.
        random: Decides everything.

    Returns:
        Image (S, S, 3) uint8 and mask (S, S) uint8 in {0, 1}.
    """
    window_px = max(8, round(side_px * np.exp(random.uniform(-_LOG_ZOOM, _LOG_ZOOM))))
    image, mask = _window(as_rgb(shot.image), shot.mask, window_px, random)
    image, mask = _resized(image, mask, side_px)
    turns, is_flipped = int(random.integers(4)), bool(random.integers(2))
    image, mask = np.rot90(image, turns), np.rot90(mask, turns)
    if is_flipped:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return Shot(_relit(image, random), np.ascontiguousarray(mask))


def _window(image: Image, mask: Mask, window_px: int, random: np.random.Generator) -> tuple[Image, Mask]:
    margins = [(0, max(0, window_px - side)) for side in mask.shape]
    image = np.pad(image, [*margins, (0, 0)], mode="symmetric")
    mask = np.pad(mask, margins, mode="symmetric")
    top, left = _corner(mask, window_px, random)
    part = (slice(top, top + window_px), slice(left, left + window_px))
    return image[part], mask[part]


def _corner(mask: Mask, window_px: int, random: np.random.Generator) -> tuple[int, int]:
    """Anywhere, or mostly where some marked pixel lies anywhere inside the window."""
    marked = np.flatnonzero(mask)
    if not len(marked) or random.random() > _ON_DEFECT:
        y, x = (int(random.integers(side - window_px + 1)) for side in mask.shape)
        return y, x
    row, column = divmod(int(marked[random.integers(len(marked))]), mask.shape[1])
    offsets = random.integers(window_px, size=2)
    return (
        int(np.clip(row - offsets[0], 0, mask.shape[0] - window_px)),
        int(np.clip(column - offsets[1], 0, mask.shape[1] - window_px)),
    )


def _resized(image: Image, mask: Mask, side_px: int) -> tuple[Image, Mask]:
    if mask.shape == (side_px, side_px):
        return image, mask
    size = (side_px, side_px)
    picture = Pillow.fromarray(np.ascontiguousarray(image)).resize(size, Pillow.Resampling.BILINEAR)
    share = Pillow.fromarray(mask * np.uint8(255)).resize(size, Pillow.Resampling.BILINEAR)
    return np.asarray(picture), (np.asarray(share) > 127).astype(np.uint8)


def _relit(image: Image, random: np.random.Generator) -> Image:
    """Gain, gamma and sensor noise, each drawn anew: support and query are two exposures."""
    gain, gamma = np.exp(random.uniform(-_LOG_GAIN, _LOG_GAIN)), np.exp(random.uniform(-_LOG_GAMMA, _LOG_GAMMA))
    levels = (255 * (gain * np.arange(256) / 255).clip(0, 1) ** gamma).astype(np.float32)
    noise = random.standard_normal(image.shape, np.float32) * np.float32(random.uniform(0, _NOISE_LEVELS))
    relit: Image = np.clip(np.rint(levels[image] + noise), 0, 255).astype(np.uint8)
    return relit
