"""Inputs that nobody means well with, made from a `Random`: files, masks, annotations, forms, heads of requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from random import Random
from typing import Any
from urllib.parse import quote

import numpy as np
import PIL.Image

from lerenet.formats.brush import encode_brush
from lerenet.imaging import encode_bilevel_png, encode_coco_rle, rle_counts

HEIGHT, WIDTH = 24, 32
BOUNDARY = b"fuzz"
NUMBERS = (0, 1, -1, 2, 127, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 10**30, 0.5, 1e308)
NAMES = (
    "scratches",
    "a",
    "..",
    ".",
    "a/b",
    "..\\..",
    "a\r\nX: y",
    "a\0b",
    "ä",
    "x" * 65,
    "",
    "%2e%2e%2f",
    "a@b",
    "a" * 900,
)
FIELDS = (
    "name",
    "images",
    "masks",
    "normals",
    "annotations",
    "bits",
    "classes",
    "threshold",
    "roi",
    "format",
    "x[]",
    "",
)
FORMATS = ("coco_rle", "rle", "png", "probability", "polygons", "label_studio", "cvat", "none", "gif", "")

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "I", "LAB", "YCbCr", "HSV")
_SAVED: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("PNG", {}) for _ in range(3)),
    ("JPEG", {"quality": 50}),
    ("JPEG", {"progressive": True}),
    ("BMP", {}),
    *(
        ("TIFF", {"compression": each})
        for each in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")
    ),
)


def mask() -> np.ndarray[Any, np.dtype[np.uint8]]:
    marked = np.zeros((HEIGHT, WIDTH), np.uint8)
    marked[6:14, 8:20] = 1
    return marked


@cache
def valid_files() -> tuple[bytes, ...]:
    """Images of every mode in every format that can hold it."""
    grey = PIL.Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH).astype(np.uint8))
    files = []
    for mode in _MODES:
        image = PIL.Image.new("I;16", grey.size, 300) if mode == "I;16" else _converted(grey, mode)
        for file_format, options in _SAVED:
            buffer = BytesIO()
            try:
                image.save(buffer, file_format, **options)
            except (OSError, KeyError, ValueError, RuntimeError):
                continue
            files.append(buffer.getvalue())
    return tuple(files)


@cache
def valid_masks() -> tuple[bytes, ...]:
    marked = PIL.Image.fromarray(mask() * np.uint8(255))
    buffer = BytesIO()
    marked.save(buffer, "PNG")
    return (encode_bilevel_png(mask()), buffer.getvalue())


def _converted(grey: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    if mode in ("LAB", "LA", "HSV"):
        return PIL.Image.new(mode, grey.size)
    return grey.convert(mode)


def mutated(data: bytes, random: Random) -> bytes:
    """A few changes: flipped, inserted, dropped, doubled bytes; lengths set to what overflows; a cut."""
    changed = bytearray(data)
    for _ in range(1 + random.randrange(6)):
        random.choice(_CHANGES)(changed, random)
    return bytes(changed)


def _place(data: bytearray, random: Random) -> int:
    # headers are more rewarding than pixels
    return random.randrange(max(1, min(len(data), random.choice((16, 64, 256, 1 << 20)))))


def _flip(data: bytearray, random: Random) -> None:
    if data:
        data[_place(data, random) % len(data)] = random.randrange(256)


def _number(data: bytearray, random: Random) -> None:
    place, size = _place(data, random), random.choice((1, 2, 4))
    value = random.choice((0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF))
    data[place : place + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, random.choice(("big", "little")))


def _insert(data: bytearray, random: Random) -> None:
    place = _place(data, random)
    data[place:place] = random.randbytes(1 + random.randrange(16))


def _drop(data: bytearray, random: Random) -> None:
    place = _place(data, random)
    del data[place : place + 1 + random.randrange(32)]


def _double(data: bytearray, random: Random) -> None:
    place = _place(data, random)
    data[place:place] = data[place : place + random.randrange(64)] * (1 + random.randrange(8))


def _cut(data: bytearray, random: Random) -> None:
    if random.random() < 0.3:
        del data[random.randrange(len(data) + 1) :]


_CHANGES: Sequence[Callable[[bytearray, Random], None]] = (_flip, _flip, _number, _insert, _drop, _double, _cut)


def image_file(random: Random, valid: float = 0.125) -> bytes:
    """A file, with probability `valid` as it should be."""
    data = random.choice(valid_files())
    return data if random.random() < valid else mutated(data, random)


def mask_file(random: Random) -> bytes:
    data = random.choice(valid_masks() if random.random() < 0.5 else valid_files())
    return data if random.random() < 0.25 else mutated(data, random)


def rle(random: Random) -> Any:
    """COCO RLE, more or less."""
    counts: Any = random.choice((encode_coco_rle(mask())["counts"], rle_counts(mask())))
    size: Any = [HEIGHT, WIDTH]
    if random.random() < 0.5 and isinstance(counts, str):
        counts = mutated(counts.encode(), random).decode("latin-1")
    elif random.random() < 0.7:
        counts = [random.choice((*NUMBERS, None, "1", [])) for _ in range(random.randrange(12))]
    if random.random() < 0.3:
        size = [random.choice((*NUMBERS, HEIGHT, WIDTH, None)) for _ in range(random.randrange(4))]
    return {"size": size, "counts": counts}


def polygons(random: Random) -> Any:
    corners = (*NUMBERS, float("nan"), float("inf"), *range(32), 3.25, None, True)
    return [
        [random.choice(corners) for _ in range(2 * random.randrange(12) + (random.random() < 0.1))]
        for _ in range(random.randrange(4))
    ]


def annotation(random: Random) -> Any:
    one = random.choice((rle, polygons))(random)
    return random.choice((one, {"segmentation": one}, [{"segmentation": one}] * random.randrange(4), None, 7, "x", {}))


def annotation_text(random: Random) -> str:
    """The text of a form's field."""
    text = json.dumps([annotation(random) for _ in range(random.choice((1, 1, 1, 0, 2)))])
    if random.random() < 0.1:
        return "[" * random.randrange(5_000)
    return mutated(text.encode(), random).decode("utf-8", "replace") if random.random() < 0.2 else text


def brush(random: Random) -> Any:
    """Label Studio's bytes."""
    stream = bytes(encode_brush(mask()))
    return list(mutated(stream, random)) if random.random() < 0.9 else [random.choice(NUMBERS)]


def text(random: Random) -> str:
    return random.choice(
        (*NAMES, *map(str, NUMBERS), "nan", "0.5", "0,0,8,8", *FORMATS, '{"a": NaN}', "٣", "x" * 5_000)
    )


def part(random: Random, field: str, content: bytes, filename: str | None) -> bytes:
    disposition = f'form-data; name="{field}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    head = f"Content-Disposition: {disposition}".encode("utf-8", "replace")
    if random.random() < 0.05:
        head = mutated(head, random)
    if random.random() < 0.03:
        head += b"\r\nX: " + b"y" * random.randrange(9_000)
    return b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def form(random: Random, *, is_registration: bool) -> bytes:
    """A multipart body, whole or broken."""
    filename = random.choice(("a.png", "../../etc/passwd", "ä", "x" * 300) if random.random() < 0.9 else ("a\0b", '"'))
    pieces = [part(random, "images", image_file(random, 0.6), filename) for _ in range(random.choice((1, 1, 1, 2, 0)))]
    if is_registration:
        pieces.append(part(random, "name", random.choice((*NAMES, *"abcdefgh")).encode(), None))
        marked = random.random() < 0.5
        pieces.append(
            part(random, "masks", mask_file(random), "m.png")
            if marked
            else part(random, "annotations", annotation_text(random).encode(), None)
        )
    for _ in range(random.choice((0, 0, 0, 0, 1, 3, 40))):
        pieces.append(part(random, random.choice(FIELDS), text(random).encode(), None))
    random.shuffle(pieces)
    body = b"".join(pieces) + b"--" + BOUNDARY + b"--\r\n"
    return mutated(body, random) if random.random() < 0.15 else body


def target(random: Random) -> str:
    """Path and query."""
    name = quote(random.choice(NAMES), safe=random.choice(("", "/%", "@")))
    path = random.choice(
        ("/support", f"/support/{name}", f"/support/{name}@{name}", f"/support/{name}/shots/{text(random)[:40]}/image",
         f"/static/{name}", "/segment", "/", "//", "/docs", f"/{name}", "/limits", "/predict")
    )  # fmt: skip
    n_parameters = random.choice((0, 0, 1, 2, 50))
    named = ("classes", "threshold", "cursor", "limit", "roi", "metadata", "format", "min_area_px", "timestamp", "x")
    query = "&".join(f"{random.choice(named)}={quote(text(random))}" for _ in range(n_parameters))
    return quote(path, safe="/%@&=?") + (f"?{query}" if query else "")
