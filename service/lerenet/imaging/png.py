"""PNG for masks, label maps and probability maps, written directly.

A general encoder stores a mask as 8-bit grey. Packed bits and zlib's run-length strategy take less room and time.

Source: W3C PNG specification (third edition), sections 5 (chunks), 7 (packing) and 9 (filters).
"""

from __future__ import annotations

import zlib
from colorsys import hsv_to_rgb
from struct import pack

import numpy as np
from numpy.typing import NDArray

from lerenet.errors import NotAcceptable
from lerenet.imaging.masks import Mask

_Bytes = NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
_FILTER_NONE, _FILTER_UP = 0, 2
_MAX_CLASSES = 255
_GOLDEN_RATIO = 0.618033988749895


def encode_bilevel_png(mask: Mask) -> bytes:
    """Encodes a mask as 1-bit grey: 0 black, 1 white.

    Args:
        mask: (H, W) uint8 in {0, 1}.
    """
    return _framed(mask.shape, 1, _GREY, _filtered(np.packbits(mask, axis=1), _FILTER_NONE))


def encode_palette_png(labels: NDArray[np.uint8], n_classes: int) -> bytes:
    """Encodes a label map with the fewest bits that hold it: index 0 is background (black), index i the i-th class.

    Args:
        labels: (H, W) uint8, 0 to `n_classes`.
        n_classes: Classes without the background.

    Raises:
        NotAcceptable: More classes than a palette holds.
        ValueError: A label above `n_classes`.
    """
    if n_classes > _MAX_CLASSES:
        detail = f"a palette PNG holds {_MAX_CLASSES} classes, not {n_classes}: name fewer, or accept application/json"
        raise NotAcceptable(detail)
    if labels.max() > n_classes:
        raise ValueError(f"label {labels.max()} in a map of {n_classes} classes")
    bits = next(bits for bits in (1, 2, 4, 8) if n_classes < 1 << bits)
    colours = _chunk(b"PLTE", b"".join(map(class_colour, range(n_classes + 1))))
    return _framed(labels.shape, bits, _PALETTE, _filtered(_packed(labels, bits), _FILTER_NONE), colours)


def encode_grey_png(values: NDArray[np.uint8]) -> bytes:
    """Encodes an 8-bit map, such as a probability map, as grey.

    Args:
        values: (H, W) uint8.
    """
    return _framed(values.shape, 8, _GREY, _filtered(values, _FILTER_UP))


def class_colour(index: int) -> bytes:
    """RGB of a palette index, three bytes: black for 0, then hues that stay apart however many there are."""
    if index == 0:
        return bytes(3)
    saturation, value = 0.95 - 0.15 * (index % 3), 1 - 0.12 * (index // 3 % 3)
    return bytes(round(255 * part) for part in hsv_to_rgb(index * _GOLDEN_RATIO % 1, saturation, value))


def _packed(labels: _Bytes, bits: int) -> _Bytes:
    per_byte = 8 // bits
    height, width = labels.shape
    packed = np.zeros((height, -(-width // per_byte)), np.uint8)
    for place in range(per_byte):
        part = labels[:, place::per_byte]
        packed[:, : part.shape[1]] |= part << np.uint8(8 - bits * (place + 1))
    return packed


def _filtered(rows: _Bytes, kind: int) -> bytes:
    height, n_bytes = rows.shape
    lines = np.empty((height, 1 + n_bytes), np.uint8)
    lines[:, 0] = kind
    lines[:, 1:] = rows
    if kind == _FILTER_UP:
        lines[1:, 1:] -= rows[:-1]
    return lines.tobytes()


def _framed(shape: tuple[int, ...], bits: int, colour_type: int, lines: bytes, palette: bytes = b"") -> bytes:
    height, width = shape
    header = _chunk(b"IHDR", pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    body = _chunk(b"IDAT", deflate.compress(lines) + deflate.flush())
    return _SIGNATURE + header + palette + body + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(body, zlib.crc32(name)))
