"""Masks: (H, W) uint8 arrays in {0, 1}, 1 where the defect is.

What is foreground in a file:

* 1-bit: 1, as displayed (white).
* 8-bit grey, or RGB with three equal channels: above 127; in a mask of only {0, 1} it is 1.
* palette: the one index other than 0.

Refused, naming the values found, since nobody can tell which of them is the class: colours, alpha, more than eight
bits, and several labels. Labels are several

* in a palette mask that uses more than one index besides 0;
* in a grey mask that has no value above 127, yet others than {0, 1}: {0, 1, 2, 3}, {0, 100};
* in a grey mask whose values besides 0 and 255 are 1, 2, ... n without a gap: {0, 1, 255}, where 255 means "ignore".

Anti-aliased edges and JPEG noise pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lerenet.errors import InvalidMask, MalformedRequest
from lerenet.imaging.images import Image
from lerenet.imaging.limits import ImageLimits
from lerenet.imaging.reading import UprightImage, read_upright

Mask = NDArray[np.uint8]

_ABOVE_HALF = 127
_WHITE = 255
_N_VALUES_NAMED = 8
_NOISE_DECIMALS = 9
_REMEDY = "send one class per mask: 0 for background and 255 for the defect, 8-bit grey"


def decode_mask(data: bytes, limits: ImageLimits, *, pointer: str | None = None) -> Mask:
    """Decodes a mask as displayed, by the rule at the top of this module.

    Args:
        data: A JPEG, PNG, BMP or single-page TIFF, told by content.
        limits: Held against the header, before any pixel is decoded.
        pointer: Where in the request the file lies.

    Returns:
        (H, W) uint8 in {0, 1}; a new writable array, possibly all 0.

    Raises:
        InvalidMask: Colours, alpha, more than eight bits, or several labels.
        UnsupportedImage: Another type, or several pages.
        ImageTooLarge: Over the limits.
        UndecodableImage: Empty, truncated or damaged.
    """
    source = read_upright(data, limits, pointer=pointer)
    pixels = source.pixels
    if source.bit_depth > 8 or pixels.mode not in ("1", "L", "P", "RGB"):
        raise _refusal(f"{_kind(source)} masks are not read", _values(pixels), pointer)
    if pixels.mode == "P":
        return _from_palette(pixels, pointer)
    return _from_grey(_single_channel(pixels, pointer) if pixels.mode == "RGB" else pixels.convert("L"), pointer)


def check_pair(image: Image, mask: Mask, *, pointer: str | None = None) -> None:
    """Refuses a mask that does not belong to its image, or marks nothing in it.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        mask: (H, W) uint8 in {0, 1}.
        pointer: Where in the request the mask lies.

    Raises:
        InvalidMask: The sizes differ, or every pixel of the mask is 0.
    """
    sizes = [f"{array.shape[0]} x {array.shape[1]}" for array in (mask, image)]
    if sizes[0] != sizes[1]:
        detail = f"the mask is {sizes[0]} px (H x W) and its image {sizes[1]}, as displayed: export both at one size"
        raise InvalidMask(detail, pointer=pointer)
    if not mask.any():
        detail = f"nothing is marked in this mask of {sizes[0]} px: mark the defect, or send the frame under `normals`"
        raise InvalidMask(detail, pointer=pointer)


def threshold_level(threshold: float) -> int:
    """The least 8-bit probability that counts as defect: `ceil(255 threshold)`, free of rounding noise.

    So any decimal gives what it gives on paper, and k / 255 gives k.

    Args:
        threshold: 0 to 1.

    Raises:
        MalformedRequest: Outside that range.
    """
    if not 0 <= threshold <= 1:
        raise MalformedRequest(f"threshold={threshold}: it lies between 0 and 1")
    return ceil(round(255 * threshold, _NOISE_DECIMALS))


def mask_from_probability(q: NDArray[np.uint8], threshold: float) -> Mask:
    """Cuts a probability map: `q >= ceil(255 threshold)`.

    Args:
        q: (H, W) uint8, the probability p of each pixel as `round(255 p)`.
        threshold: 0 to 1.

    Returns:
        (H, W) uint8 in {0, 1}.

    Raises:
        MalformedRequest: The threshold lies outside 0 to 1.
    """
    return (q >= threshold_level(threshold)).view(np.uint8)


def _from_palette(pixels: PIL.Image.Image, pointer: str | None) -> Mask:
    indices = _levels(pixels)
    if len(set(indices) - {0}) > 1:
        raise _refusal("several labels in one palette mask", indices, pointer)
    mask: Mask = (np.asarray(pixels) != 0).view(np.uint8)
    return mask


def _from_grey(pixels: PIL.Image.Image, pointer: str | None) -> Mask:
    values = _levels(pixels)
    if set(values) <= {0, 1}:
        return np.array(pixels)
    labels = sorted(set(values) - {0, _WHITE})
    is_enumerated = bool(labels) and labels == list(range(1, len(labels) + 1))
    if values[-1] <= _ABOVE_HALF or is_enumerated:
        raise _refusal("several labels, or nothing clear, in one grey mask", values, pointer)
    mask: Mask = (np.asarray(pixels) > _ABOVE_HALF).view(np.uint8)
    return mask


def _single_channel(pixels: PIL.Image.Image, pointer: str | None) -> PIL.Image.Image:
    red, green, blue = pixels.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        return red
    raise _refusal("colour masks are not read", _values(pixels), pointer)


def _levels(pixels: PIL.Image.Image) -> list[int]:
    return [value for value, count in enumerate(pixels.histogram()) if count]


def _values(pixels: PIL.Image.Image) -> Sequence[object]:
    """Distinct values of a mask that is refused, ascending; empty when there are very many colours."""
    if pixels.mode.startswith("I;16"):
        is_found = np.zeros(1 << 16, bool)
        is_found[np.asarray(pixels)] = True
        found: list[int] = np.flatnonzero(is_found).tolist()
        return found
    return sorted((value for _, value in pixels.getcolors() or ()), key=str)


def _kind(source: UprightImage) -> str:
    return f"{source.bit_depth}-bit" if source.bit_depth > 8 else source.pixels.mode


def _refusal(what: str, values: Sequence[object], pointer: str | None) -> InvalidMask:
    listed = ", ".join(map(str, values[:_N_VALUES_NAMED]))
    rest = f" and {len(values) - _N_VALUES_NAMED} more" if len(values) > _N_VALUES_NAMED else ""
    return InvalidMask(f"{what}; values found: {listed or 'more than 256'}{rest}; {_REMEDY}", pointer=pointer)
