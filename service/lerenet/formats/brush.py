"""Label Studio's brush: run-length encoding of an RGBA image whose alpha is the mask, in a stream of bits.

The stream, most significant bit first: 32 bits number of values (4 H W), 5 bits word size - 1 (7), four times 4 bits
length width - 1 (2, 3, 7, 15: widths 3, 4, 8, 16). Then blocks: 1 bit kind, 2 bits index of the width, length - 1 in
that many bits, and one word if the kind is 1 (a run), else as many words as the length says. Zeros fill the last byte.

Source: HumanSignal/label-studio-sdk 2.1.2, `converter/brush.py`. We place whole blocks with arrays instead of texts of
bits, and refuse what does not add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lerenet.errors import InvalidMask
from lerenet.imaging import ImageLimits, Mask

_Integers = NDArray[np.int64]

_CHANNELS = 4
_ALPHA = 3
_WORD_BITS = 8
_WIDTHS = (3, 4, 8, 16)
_LONGEST = 1 << _WIDTHS[-1]
_HEADER_BITS = 32 + 5 + 4 * len(_WIDTHS)
_MARKED = 255
_BYTES_PER_BLOCK = 5  # of a block of at most 27 bits that begins anywhere in a byte


def encode_brush(mask: Mask) -> list[int]:
    """Encodes a mask, byte for byte as the SDK's `encode_rle` does with 255 in all four channels.

    Args:
        mask: (H, W) uint8 in {0, 1}; 4 H W must fit in 32 bits.
    """
    lengths, index, is_marked = _runs(mask)
    widths = np.array(_WIDTHS)
    n_bits = 3 + widths[index] + _WORD_BITS
    blocks = ((4 + index) << widths[index] | (lengths - 1)) << _WORD_BITS | np.where(is_marked, _MARKED, 0)
    ends = _HEADER_BITS + np.cumsum(n_bits)
    # the SDK adds a byte of zeros where the last one is full
    stream = np.zeros(ends[-1] // 8 + _BYTES_PER_BLOCK, np.uint8)
    stream[: _HEADER_BITS // 8 + 1] = np.frombuffer(_header(mask.size), np.uint8)
    _place(stream, blocks, ends - n_bits, n_bits)
    encoded: list[int] = stream[: ends[-1] // 8 + 1].tolist()
    return encoded


def decode_brush(
    rle: object, height: int, width: int, *, limits: ImageLimits | None = None, pointer: str | None = None
) -> Mask:
    """Decodes a mask; a pixel is marked where its alpha is not 0.

    Args:
        rle: A list of bytes as integers.
        height: Of the mask, in pixels.
        width: Of the mask, in pixels.
        limits: Held against the size before anything is expanded; default limits when None.
        pointer: Where in the request the mask lies.

    Returns:
        (H, W) uint8 in {0, 1}.

    Raises:
        InvalidMask: Not bytes, another number of values than 4 H W, or blocks that do not add up to it.
        ImageTooLarge: The size is over the limits.
    """
    (limits or ImageLimits()).check(height, width, pointer=pointer)
    if not isinstance(rle, list) or any(type(byte) is not int or not 0 <= byte <= 255 for byte in rle):
        raise InvalidMask("brush RLE: it is a list of bytes, integers from 0 to 255", pointer=pointer)
    alpha = np.zeros(_CHANNELS * height * width, np.bool_)
    try:
        for start, end, words in _blocks(bytes(rle), alpha.size):
            alpha[start:end] = words
    except _Unreadable as err:
        raise InvalidMask(f"brush RLE of {height} x {width} px (H x W): {err}", pointer=pointer) from err
    return np.ascontiguousarray(alpha[_ALPHA::_CHANNELS].view(np.uint8).reshape(height, width))


class _Unreadable(Exception):
    """Why a stream cannot be read."""


def _runs(mask: Mask) -> tuple[_Integers, _Integers, NDArray[np.bool_]]:
    """Of each run of equal values: its length, the index of the width for it, and whether it is marked."""
    flat = mask.ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = _CHANNELS * np.diff(starts, append=flat.size)
    n_blocks = -(-lengths // _LONGEST)
    pieces = np.full(n_blocks.sum(), _LONGEST, np.int64)
    pieces[np.cumsum(n_blocks) - 1] = lengths - _LONGEST * (n_blocks - 1)
    # what is left over of a run in several pieces keeps the width of the others
    index = np.minimum(np.searchsorted(1 << np.array(_WIDTHS), lengths), len(_WIDTHS) - 1)
    return pieces, np.repeat(index, n_blocks), np.repeat(flat[starts] != 0, n_blocks)


def _header(n_pixels: int) -> bytes:
    fields = [(_CHANNELS * n_pixels, 32), (_WORD_BITS - 1, 5), *((width - 1, 4) for width in _WIDTHS), (0, 3)]
    bits = "".join(f"{value:0{n_bits}b}" for value, n_bits in fields)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _place(stream: NDArray[np.uint8], blocks: _Integers, starts: _Integers, n_bits: _Integers) -> None:
    """Writes blocks of bits side by side, each into the bytes it touches."""
    within = blocks << (8 * _BYTES_PER_BLOCK - starts % 8 - n_bits)
    for place in range(_BYTES_PER_BLOCK):
        part = within >> 8 * (_BYTES_PER_BLOCK - 1 - place) & 0xFF
        np.bitwise_or.at(stream, starts // 8 + place, part.astype(np.uint8))


def _blocks(data: bytes, n_values: int) -> Iterator[tuple[int, int, int | Sequence[int]]]:
    """Where each block begins and ends among the values, and its word or words."""
    bits = _Bits(data)
    if bits.read(32) != n_values:
        raise _Unreadable(f"it says it has another number of values than 4 H W = {n_values}")
    word_bits = bits.read(5) + 1
    widths = [bits.read(4) + 1 for _ in _WIDTHS]
    end = 0
    while end < n_values:
        is_run, index = divmod(bits.read(3), len(_WIDTHS))
        start, end = end, end + 1 + bits.read(widths[index])
        if end > n_values:
            raise _Unreadable("its blocks have more values than it says")
        yield start, end, bits.read(word_bits) if is_run else [bits.read(word_bits) for _ in range(start, end)]


class _Bits:
    """Numbers of up to 32 bits from a stream, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def read(self, n_bits: int) -> int:
        end = self._place + n_bits
        if end > 8 * len(self._data):
            raise _Unreadable("it ends within a block")
        touched = self._data[self._place // 8 : -(-end // 8)]
        self._place = end
        return int.from_bytes(touched, "big") >> -end % 8 & (1 << n_bits) - 1
