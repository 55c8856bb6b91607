"""What may be sent as an image or mask, as parts of a multipart body."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lerenet.imaging import Image, Mask, encode_bilevel_png, encode_image_png

ImageSource = bytes | Path | Image
"""A file's bytes, a path, or (H, W) or (H, W, 3) RGB uint8."""

MaskSource = bytes | Path | Mask
"""A file's bytes, a path, or (H, W) in {0, 1}, uint8 or bool."""

Part = tuple[str, tuple[str, bytes, str]]
_MEDIA_TYPE = "application/octet-stream"  # the service tells the type by content


def image_parts(field: str, sources: Sequence[ImageSource]) -> Iterator[Part]:
    """Images as parts of one field, in order; arrays are sent as PNG, without loss.

    Raises:
        OSError: A file cannot be read.
    """
    for index, source in enumerate(sources):
        data = encode_image_png(source) if isinstance(source, np.ndarray) else _bytes(source)
        yield field, (_filename(source, index), data, _MEDIA_TYPE)


def mask_parts(sources: Sequence[MaskSource]) -> Iterator[Part]:
    """Masks as parts of the field `masks`, in order; arrays are sent as 1-bit PNG.

    Raises:
        OSError: A file cannot be read.
    """
    for index, source in enumerate(sources):
        data = encode_bilevel_png(source != 0) if isinstance(source, np.ndarray) else _bytes(source)
        yield "masks", (_filename(source, index), data, _MEDIA_TYPE)


def _bytes(source: bytes | Path) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source


def _filename(source: bytes | Path | Image, index: int) -> str:
    # A part without a file name would be taken for a text.
    return source.name if isinstance(source, Path) else f"{index}"
