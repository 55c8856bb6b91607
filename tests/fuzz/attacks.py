"""Files that were found to cost much more than they weigh, or are known to; each made in memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import PIL.Image

MIB = 1 << 20


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(extra: bytes = b"", idat: bytes | None = None) -> bytes:
    """Eight by eight grey pixels with more than a picture needs."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(72))) if idat is None else idat
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def inflating(n_bytes: int) -> bytes:
    return b"a\0\0" + zlib.compress(bytes(n_bytes))


def jpeg(**options: Any) -> bytes:
    buffer = BytesIO()
    PIL.Image.new("RGB", (64, 64), (100, 50, 20)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def with_scans(n: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = jpeg(progressive=True)
    last, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + n * data[last:end] + data[end:]


def before_the_picture(between: bytes) -> bytes:
    data = jpeg()
    return data[:2] + between + data[2:]


def tiff(*tags: tuple[int, int, int, int], payload: bytes = bytes(64), compression: int = 1) -> bytes:
    """Eight by eight grey pixels; a tag is its number, type, count and value or offset."""
    basic = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in (*basic, *tags))
    place = 8 + len(payload)
    n_tags = struct.pack("<H", len(basic) + len(tags))
    return b"II*\0" + struct.pack("<I", place) + payload + n_tags + entries + bytes(4)


STRIP = ((273, 4, 1, 8), (278, 4, 1, 8), (279, 4, 1, 64))


def rle_bmp(n_runs: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, 5_000, 5_000, 1, 8, 1, 2 * n_runs, 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + 2 * n_runs, 0, 0, start) + header + bytes(1024) + b"\x01\x00" * n_runs


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a PNG of many empty chunks": (lambda: png(chunk(b"prVt", b"") * 40_000), "unsupported_image"),
    "a PNG whose pixels lie in many empty pieces": (
        lambda: png(chunk(b"IDAT", b"") * 40_000),
        "unsupported_image",
    ),
    "a PNG with a text that inflates": (lambda: png(chunk(b"zTXt", inflating(64 * MIB))), "undecodable_image"),
    "a PNG with a colour profile that inflates": (
        lambda: png(chunk(b"iCCP", inflating(64 * MIB))),
        "undecodable_image",
    ),
    "a JPEG of many scans": (lambda: with_scans(40), "unsupported_image"),
    "a JPEG of many segments": (lambda: before_the_picture(b"\xff\xee\0\2" * 40_000), "unsupported_image"),
    "a JPEG of fill bytes": (lambda: before_the_picture(b"\xff" * 40_000), "unsupported_image"),
    "a JPEG of stuffed bytes": (lambda: before_the_picture(b"\xff\0" * 40_000), "unsupported_image"),
    "a TIFF of many strips": (
        lambda: tiff((273, 4, 200_000, 8), (278, 4, 1, 1), payload=bytes(MIB)),
        "unsupported_image",
    ),
    "a TIFF of many tags": (
        lambda: tiff(*STRIP, *((1_000 + i, 7, 8, 8) for i in range(2_000))),
        "unsupported_image",
    ),
    "a TIFF with a tag larger than the file": (
        lambda: tiff(*STRIP, (700, 7, 10**9, 8)),
        "unsupported_image",
    ),
    "a TIFF with a tile of gigabytes": (
        lambda: tiff((322, 4, 1, 65_520), (323, 4, 1, 65_520), (324, 4, 1, 8), (325, 4, 1, 64), compression=8),
        "undecodable_image",
    ),
    "a TIFF that asks for the LZMA decoder": (lambda: tiff(*STRIP, compression=34_925), "unsupported_image"),
    "a TIFF that asks for the WebP decoder": (lambda: tiff(*STRIP, compression=50_001), "unsupported_image"),
    "a long run-length encoded BMP": (lambda: rle_bmp(600_000), "unsupported_image"),
    "a page that is also a picture": (lambda: b"<!--" + jpeg(), "unsupported_image"),
    "a PostScript program": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported_image"),
    "a GIF": (lambda: b"GIF89a" + bytes(30), "unsupported_image"),
}
"""Files, and the code each is refused with."""
