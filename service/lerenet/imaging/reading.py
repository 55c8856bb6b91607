"""Bytes to an upright Pillow image: type by content, limits by header, then the pixels.

Pillow's plugins are called directly: `PIL.Image.open` would add a bomb check whose bound is global to the process,
while ours belongs to the caller. (The TIFF plugin keeps that check: TIFF stops at 178 million pixels in any case.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base as ExifTag
from PIL.Image import Image as PillowImage
from PIL.Image import Transpose
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from lerenet.errors import LERENetError, UndecodableImage, UnsupportedImage
from lerenet.imaging.limits import ImageLimits
from lerenet.imaging.structure import check_structure
from lerenet.imaging.types import image_type

_PLUGINS: tuple[tuple[bytes, type[ImageFile]], ...] = (
    (b"\xff\xd8\xff", JpegImageFile),
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"BM", BmpImageFile),
    (b"II*\x00", TiffImageFile),
    (b"MM\x00*", TiffImageFile),
    (b"II+\x00", TiffImageFile),
    (b"MM\x00+", TiffImageFile),
)

# Others are refused by name: LZMA lets a few bytes ask for gigabytes, the rest no camera writes.
_TIFF_COMPRESSIONS = (
    "raw",
    "packbits",
    "tiff_lzw",
    "tiff_deflate",
    "tiff_adobe_deflate",
    "jpeg",
    "tiff_ccitt",
    "group3",
    "group4",
    "zstd",
)

# What undoes each EXIF orientation (TIFF 6.0, tag 274); 1 is upright.
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class UprightImage:
    """A decoded image as displayed.

    Attributes:
        pixels: In the file's own Pillow mode, upright.
        bit_depth: Bits per channel in the file: 12 or 16 where there are that many, else 8.
    """

    pixels: PillowImage
    bit_depth: int


def read_upright(data: bytes, limits: ImageLimits, *, pointer: str | None = None) -> UprightImage:
    """Decodes one JPEG, PNG, BMP or single-page TIFF and applies its orientation.

    Args:
        data: The whole file.
        limits: Held against the header, before any pixel is decoded.
        pointer: Where in the request the file lies.

    Raises:
        UnsupportedImage: Another type by its first bytes, several pages or frames, very many parts, or a rare
            compression of TIFF.
        ImageTooLarge: The header declares more than the limits.
        UndecodableImage: No bytes, or truncated or damaged ones.
    """
    plugin = _plugin_for(data, pointer)
    check_structure(data, image_type(data), pointer=pointer)
    with _damage_reported(pointer):
        opened = plugin(BytesIO(data))
        limits.check(opened.height, opened.width, pointer=pointer)
        _refuse_several_pages(opened, pointer)
        _refuse_compression(opened, pointer)
        bit_depth = _bit_depth(opened)
        opened.load()
        return UprightImage(_turned_upright(opened), bit_depth)


def _plugin_for(data: bytes, pointer: str | None) -> type[ImageFile]:
    if not data:
        raise UndecodableImage("the file is empty (0 bytes): send the image's bytes", pointer=pointer)
    for magic, plugin in _PLUGINS:
        if data.startswith(magic):
            return plugin
    begin = data[:8].hex(" ")
    raise UnsupportedImage(f"not a JPEG, PNG, BMP or TIFF: it begins with {begin}; send one of these", pointer=pointer)


@contextmanager
def _damage_reported(pointer: str | None) -> Iterator[None]:
    try:
        yield
    except (LERENetError, MemoryError):
        raise
    except Exception as err:  # damaged bytes make Pillow raise half a dozen unrelated types
        detail = f"the image is truncated or damaged ({err}): send the complete file"
        raise UndecodableImage(detail, pointer=pointer) from err


def _refuse_several_pages(opened: ImageFile, pointer: str | None) -> None:
    # The offset of a second page answers at once; counting would walk through all of them.
    several = bool(opened.tag_v2.next) if isinstance(opened, TiffImageFile) else getattr(opened, "n_frames", 1) > 1
    if several:
        raise UnsupportedImage("the file holds several pages or frames: send each as an image", pointer=pointer)


def _refuse_compression(opened: ImageFile, pointer: str | None) -> None:
    if isinstance(opened, TiffImageFile) and (used := str(opened.info.get("compression"))) not in _TIFF_COMPRESSIONS:
        detail = f"a TIFF compressed by {used} is not read: save it uncompressed, or by LZW or deflate"
        raise UnsupportedImage(detail, pointer=pointer)


def _bit_depth(opened: ImageFile) -> int:
    if isinstance(opened, BmpImageFile):  # its 16 bits are shared by three channels
        return 8
    arguments = opened.tile[0].args
    raw_mode = str(arguments[0] if isinstance(arguments, tuple) else arguments)
    return next((bits for bits in (12, 16) if f";{bits}" in raw_mode), 8)


def _turned_upright(image: PillowImage) -> PillowImage:
    try:
        orientation = image.getexif().get(ExifTag.Orientation, 1)
    except Exception:  # damaged metadata must not cost the pixels
        return image
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)
