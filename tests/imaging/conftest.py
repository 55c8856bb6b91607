"""Image files of every kind, made in memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import PIL.Image
import pytest
from numpy.typing import NDArray

Saved = Callable[..., bytes]


def _saved(pixels: PIL.Image.Image | NDArray[Any], file_format: str, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.fixture
def saved() -> Saved:
    return _saved


@pytest.fixture
def sixteen_bit_colour_png() -> Callable[[bytes], bytes]:
    """Makes a PNG of one row from its samples, six bytes a pixel; Pillow writes none."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    def made(row: bytes) -> bytes:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", len(row) // 6, 1, 16, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" + row)) + chunk(b"IEND", b"")

    return made
