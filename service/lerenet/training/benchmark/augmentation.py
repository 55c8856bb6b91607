"""How the authors vary a training image, and how they fit one to the network's square when they validate.

Source: DingH2E/LDMP-RENet-main @5b9e585, util/transform.py. We differ: Pillow resizes and rotates where they use
    OpenCV, and pixels stay 8-bit between the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

from lerenet.imaging.overlay import as_rgb
from lerenet.imaging.shots import Shot
from lerenet.network.lerenet import IGNORE_INDEX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask

MEAN_RGB = (124, 116, 104)
"""Of ImageNet, in 8-bit values: what padding shows."""

_SCALES, _DEGREES, _CHANCE = (0.9, 1.1), 10.0, 0.5
_BLUR_SIGMA_PX, _BLUR_RADIUS_PX = 1.1, 2  # of OpenCV's 5 x 5 kernel
_CROPS, _KEPT_SHARE = 30, 0.85
_SIZE_MULTIPLE = 8


def augmented(shot: Shot, side_px: int, random: np.random.Generator) -> Shot:
    """Scale, rotation, blur, flip and crop, each drawn anew.

    Args:
        shot: Of any size.
        side_px: Side of the result.
        random: Decides everything.

    Returns:
        Image (S, S, 3) uint8 and mask (S, S) uint8: 1 defect, 0 background, 255 padding.
    """
    factor = random.uniform(*_SCALES)
    height, width = (max(1, round(side * factor)) for side in shot.size)
    image, mask = _resized(as_rgb(shot.image), (height, width)), _resized_mask(shot.mask, (height, width))
    if random.random() < _CHANCE:
        image, mask = _rotated(image, mask, random.uniform(-_DEGREES, _DEGREES))
    if random.random() < _CHANCE:
        image = ndimage.gaussian_filter(
            image, (_BLUR_SIGMA_PX, _BLUR_SIGMA_PX, 0), mode="mirror", radius=(_BLUR_RADIUS_PX, _BLUR_RADIUS_PX, 0)
        )
    if random.random() < _CHANCE:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return _cropped(image, mask, side_px, random)


def fitted(shot: Shot, side_px: int) -> Shot:
    """The longest side brought to the square's, both floored to multiples of 8, the rest filled at bottom and right.

    Returns:
        Image (S, S, 3) uint8, padded with 0, and mask (S, S) uint8, padded with 255.
    """
    longest = max(shot.size)
    height, width = (max(_SIZE_MULTIPLE, side * side_px // longest // 8 * 8) for side in shot.size)
    image, mask = _resized(as_rgb(shot.image), (height, width)), _resized_mask(shot.mask, (height, width))
    return Shot(_padded(image, side_px, 0), _padded(mask, side_px, IGNORE_INDEX))


def square_target(mask: Mask) -> Mask:
    """The true mask on its own canvas, squared by filling bottom and right with 255: what logits are held against."""
    return _padded(mask, max(mask.shape), IGNORE_INDEX)


def _rotated(image: Image, mask: Mask, degrees: float) -> tuple[Image, Mask]:
    turned = Pillow.fromarray(image).rotate(degrees, Pillow.Resampling.BILINEAR, fillcolor=MEAN_RGB)
    labels = Pillow.fromarray(mask).rotate(degrees, Pillow.Resampling.NEAREST, fillcolor=IGNORE_INDEX)
    return np.asarray(turned), np.asarray(labels)


def _cropped(image: Image, mask: Mask, side_px: int, random: np.random.Generator) -> Shot:
    """A crop that keeps most of the defect, else the last of many."""
    top, left = (max(0, side_px - side) // 2 for side in mask.shape)
    bottom, right = (max(0, side_px - side - before) for side, before in zip(mask.shape, (top, left), strict=True))
    mask = np.pad(mask, ((top, bottom), (left, right)), constant_values=IGNORE_INDEX)
    wide = np.empty((*mask.shape, 3), np.uint8)
    wide[:] = MEAN_RGB
    wide[top : top + image.shape[0], left : left + image.shape[1]] = image
    least = _KEPT_SHARE * np.count_nonzero(mask == 1)
    for _ in range(_CROPS):
        y, x = (int(random.integers(side - side_px + 1)) for side in mask.shape)
        crop = mask[y : y + side_px, x : x + side_px]
        if np.count_nonzero(crop == 1) >= least:
            break
    return Shot(wide[y : y + side_px, x : x + side_px], crop)


def _resized(image: Image, size: tuple[int, int]) -> Image:
    return np.asarray(Pillow.fromarray(image).resize(size[::-1], Pillow.Resampling.BILINEAR))


def _resized_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    return np.asarray(Pillow.fromarray(mask).resize(size[::-1], Pillow.Resampling.NEAREST))


def _padded(pixels: NDArray[np.uint8], side_px: int, value: int) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    margins = [(0, side_px - height), (0, side_px - width), (0, 0)]
    return np.pad(pixels, margins[: pixels.ndim], constant_values=value)
