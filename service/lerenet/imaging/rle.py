"""COCO run-length encoding of masks.

Runs go down the columns, left to right. They alternate background and defect, and begin with background, of length 0 if
need be.

Source: cocodataset/cocoapi, `common/maskApi.c`. We work on whole arrays, and refuse what does not add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from lerenet.errors import ImageTooLarge, InvalidMask
from lerenet.imaging.limits import ImageLimits
from lerenet.imaging.masks import Mask

_Integers = NDArray[np.int64]

# One character carries five bits of a signed number, least significant first, as chr(48 + bits + 32 if more follow).
_OFFSET = 48
_MORE = 0x20
_SIGN = 0x10
_FIVE_BITS = 0x1F
_MAX_TEXT_BYTES = 4 << 20  # read with some forty times as many bytes of working memory
_MAX_CHARACTERS = 12  # 60 bits: far over any count, and clear of overflow
_FULL = 16 << 5 * np.arange(_MAX_CHARACTERS - 1)  # the least numbers that one, two, ... characters cannot hold


class CocoRle(TypedDict):
    """A mask as COCO's tools read it.

    Attributes:
        size: [H, W] in pixels.
        counts: The runs, compressed to ASCII.
    """

    size: list[int]
    counts: str


def encode_coco_rle(mask: Mask) -> CocoRle:
    """Encodes a mask, character for character as pycocotools does.

    Args:
        mask: (H, W) uint8 in {0, 1}.
    """
    height, width = mask.shape
    return {"size": [height, width], "counts": _compressed(_runs(mask))}


def rle_counts(mask: Mask) -> list[int]:
    """The uncompressed form: run lengths in pixels, background first; they add up to H * W.

    Args:
        mask: (H, W) uint8 in {0, 1}.
    """
    counts: list[int] = _runs(mask).tolist()
    return counts


def decode_coco_rle(
    rle: Mapping[str, object], *, limits: ImageLimits | None = None, pointer: str | None = None
) -> Mask:
    """Decodes a mask that a client sent.

    Args:
        rle: `size` as [H, W]; `counts` as compressed text (str or bytes) or as a list of run lengths.
        limits: Held against `size` before anything is expanded; default limits when None.
        pointer: Where in the request the mask lies.

    Returns:
        (H, W) uint8 in {0, 1}, contiguous.

    Raises:
        InvalidMask: A size or counts of another form, over the limits, or that do not add up.
    """
    try:
        height, width = _checked_size(rle.get("size"), limits or ImageLimits())
        runs = _checked_runs(rle.get("counts"), height * width)
    except _Unreadable as err:
        raise InvalidMask(f"COCO RLE: {err}", pointer=pointer) from err
    is_defect = np.arange(runs.size, dtype=np.uint8) & 1
    return np.ascontiguousarray(np.repeat(is_defect, runs).reshape(width, height).T)


class _Unreadable(Exception):
    """Why a run-length encoding cannot be read."""


def _runs(mask: Mask) -> _Integers:
    # Changes are found in row order, as the mask lies in memory, and only they are brought into column order:
    # transposing the mask would take several times as long as all the rest.
    height, width = mask.shape
    changes = np.empty(mask.shape, bool)
    np.not_equal(mask[1:], mask[:-1], out=changes[1:])
    np.not_equal(mask[0, 1:], mask[-1, :-1], out=changes[0, 1:])
    changes[0, 0] = mask[0, 0]
    rows, columns = np.divmod(np.flatnonzero(changes), width)
    bounds = np.empty(rows.size + 2, np.int64)
    bounds[0], bounds[-1] = 0, mask.size
    bounds[1:-1] = np.sort(columns * height + rows)
    return bounds[1:] - bounds[:-1]


def _compressed(runs: _Integers) -> str:
    rest = runs.copy()
    rest[3:] -= runs[1:-2]
    last = np.searchsorted(_FULL, np.where(rest < 0, ~rest, rest), side="right")[:, None]
    places = np.arange(last.max() + 1)
    characters = np.empty((rest.size, places.size), np.uint8)
    for place in places:  # eight bytes each if all were made at once, and a mask of noise has millions of runs
        characters[:, place] = (rest & _FIVE_BITS) + _OFFSET
        rest >>= 5
    characters += (places < last) * np.uint8(_MORE)
    return characters[places <= last].tobytes().decode("ascii")


def _decompressed(text: bytes) -> _Integers:
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - _OFFSET
    if not codes.size:
        raise _Unreadable("counts are empty")
    if codes.min() < 0 or codes.max() > _MORE + _FIVE_BITS:
        raise _Unreadable("counts hold characters outside '0' to 'o'")
    ends = np.flatnonzero(codes < _MORE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if not ends.size or ends[-1] != codes.size - 1 or lengths.max() > _MAX_CHARACTERS:
        raise _Unreadable("counts end within a number, or hold one that is too long")
    places = 5 * (np.arange(codes.size) - np.repeat(starts, lengths))
    values = np.add.reduceat((codes & _FIVE_BITS) << places, starts)
    values -= ((codes[ends] & _SIGN) >> 4) << (5 * lengths)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _checked_size(size: object, limits: ImageLimits) -> tuple[int, int]:
    if not isinstance(size, list | tuple) or len(size) != 2 or any(type(side) is not int or side < 1 for side in size):
        raise _Unreadable(f"size is {size!r:.60}; it is [H, W], two positive integers")
    height, width = size
    try:
        limits.check(height, width)
    except ImageTooLarge as err:
        raise _Unreadable(err.detail) from err
    return height, width


def _checked_runs(counts: object, n_pixels: int) -> _Integers:
    runs = _parsed_runs(counts)
    if not runs.size or runs.min() < 0 or runs.max() > n_pixels or runs.sum() != n_pixels:
        raise _Unreadable(f"counts must be 0 or more each and add up to H * W = {n_pixels}")
    return runs


def _parsed_runs(counts: object) -> _Integers:
    if isinstance(counts, str):
        counts = counts.encode("ascii", errors="replace")
    if isinstance(counts, bytes):
        if len(counts) > _MAX_TEXT_BYTES:
            raise _Unreadable(f"counts have more than {_MAX_TEXT_BYTES} characters: send a mask file")
        return _decompressed(counts)
    if not isinstance(counts, list | tuple) or any(type(run) is not int for run in counts):
        raise _Unreadable("counts are neither compressed text nor a list of integers")
    try:
        return np.array(counts, np.int64)
    except OverflowError as err:
        raise _Unreadable("counts hold a number over 63 bits") from err
