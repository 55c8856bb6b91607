"""What a file is made of, looked through before Pillow reads any of it.

Pillow walks through a file's parts in Python, a few microseconds each, and some of its decoders are loops of Python
themselves: a small file of nothing but empty parts would keep a CPU busy for minutes. Here a file that has more parts
than any camera writes is turned away. What is merely damaged is left for Pillow to say.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from lerenet.errors import UnsupportedImage

MAX_PARTS = 32_768
"""Chunks of a PNG; segments of a JPEG and bytes between them."""

MAX_SCANS = 32
"""Passes over a progressive JPEG: each goes through the whole image, however little it holds."""

MAX_RLE_BMP_BYTES = 1 << 20

MAX_TIFF_TAGS = 1_024
MAX_TIFF_VALUES = 131_072
"""Of one tag: enough for a strip for each row and channel."""

_REMEDY = "save it again without what is not the picture"

_PNG_BEGIN, _PNG_FRAME = 8, 12  # the signature; length, name and checksum of a chunk
_BARE_MARKERS = frozenset({0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})  # no length follows, as Pillow reads it
_START_OF_SCAN = 0xDA
_BMP_RLE = (1, 2)
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BYTES_TYPES = (1, 2, 7)  # kept by Pillow as they are


def check_structure(data: bytes, kind: str, *, pointer: str | None = None) -> None:
    """Refuses a file of very many parts.

    Args:
        data: The whole file.
        kind: `png`, `jpeg`, `bmp` or `tiff`, told by its first bytes.
        pointer: Where in the request the file lies.

    Raises:
        UnsupportedImage: It has more parts than are gone through.
    """
    excess = _CHECKS[kind](data)
    if excess is not None:
        raise UnsupportedImage(f"{excess}: {_REMEDY}", pointer=pointer)


def _png(data: bytes) -> str | None:
    place, n_chunks = _PNG_BEGIN, 0
    while place + _PNG_FRAME <= len(data):
        n_chunks += 1
        if n_chunks > MAX_PARTS:
            return f"the PNG has more than {MAX_PARTS} chunks"
        place += _PNG_FRAME + int.from_bytes(data[place : place + 4], "big")
    return None


def _jpeg(data: bytes) -> str | None:
    for n_parts, (place, marker) in enumerate(_jpeg_markers(data), 1):
        if n_parts > MAX_PARTS:
            return f"the JPEG has more than {MAX_PARTS} segments and bytes between them"
        if marker == _START_OF_SCAN:
            # Within a scan every 0xFF is followed by 0 or a restart marker, so this pair begins a further one.
            n_scans = data.count(b"\xff\xda", place)
            return f"the JPEG has {n_scans} scans; {MAX_SCANS} are read at most" if n_scans > MAX_SCANS else None
    return None


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int | None]]:
    """Place and code of each marker; of each byte between segments, None."""
    place = 2
    while place + 1 < len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0x00, 0xFF):
            yield place, None
            place += 1
            continue
        yield place, marker
        place += 2
        if marker not in _BARE_MARKERS:
            # a segment too short for its own length still passes two bytes, as in Pillow
            place += max(2, int.from_bytes(data[place : place + 2], "big"))


def _bmp(data: bytes) -> str | None:
    compression = int.from_bytes(data[30:34], "little")
    if compression in _BMP_RLE and len(data) > MAX_RLE_BMP_BYTES:
        return f"a run-length encoded BMP has at most {MAX_RLE_BMP_BYTES} bytes, and this has {len(data)}"
    return None


def _tiff(data: bytes) -> str | None:
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\x00", b"\x00+")
    count_form, entry_form = (f"{order}Q", f"{order}HHQ8x") if is_big else (f"{order}H", f"{order}HHL4x")
    try:
        (place,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}L", data, 8 if is_big else 4)
        (n_tags,) = struct.unpack_from(count_form, data, place)
        if n_tags > MAX_TIFF_TAGS:
            return f"the TIFF has {n_tags} tags; {MAX_TIFF_TAGS} are read at most"
        start, length = place + struct.calcsize(count_form), struct.calcsize(entry_form)
        entries = [struct.unpack_from(entry_form, data, start + i * length) for i in range(n_tags)]
    except (struct.error, OverflowError, IndexError):
        return None
    found = (_tiff_excess(tag, kind, n_values, len(data)) for tag, kind, n_values in entries)
    return next((excess for excess in found if excess is not None), None)


def _tiff_excess(tag: int, value_type: int, n_values: int, n_bytes: int) -> str | None:
    if value_type not in _BYTES_TYPES and n_values > MAX_TIFF_VALUES:
        return f"tag {tag} of the TIFF has {n_values} values; {MAX_TIFF_VALUES} are read at most"
    if n_values * _TIFF_SIZES.get(value_type, 0) > n_bytes:
        return f"tag {tag} of the TIFF has more bytes than the file"
    return None


_CHECKS: dict[str, Callable[[bytes], str | None]] = {"png": _png, "jpeg": _jpeg, "bmp": _bmp, "tiff": _tiff}
