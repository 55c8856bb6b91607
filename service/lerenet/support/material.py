"""The pixels behind a revision: from the upload where they are at hand, else from the stored files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lerenet.imaging import Image, ImageLimits, Shot, decode_image, decode_mask
from lerenet.support.records import NormalRecord, ShotRecord, SupportClass
from lerenet.support.uploads import Contribution

ReadBlob = Callable[[str], bytes]
DecodeImage = Callable[[bytes, int], Image]
"""From an image file and its `bits` to pixels."""

# what was accepted once stays readable when the limits for uploads are lowered
_STORED = ImageLimits(max_pixels=2**40, max_side_px=2**31)


@dataclass(frozen=True, eq=False)
class Material:
    """The pixels of a support set, in the order of its records."""

    shots: tuple[Shot, ...]
    normals: tuple[Image, ...]


def decode_stored_image(data: bytes, bits: int) -> Image:
    """Decode an image that was within the limits when it was registered."""
    return decode_image(data, _STORED, bits=bits)


def read_material(record: SupportClass, added: Contribution, read_blob: ReadBlob, decode: DecodeImage) -> Material:
    """Every shot and normal of a revision as pixels; blocking, and slow for large images.

    Raises:
        RegistryError: A stored file is missing or damaged.
    """

    def shot_of(shot: ShotRecord) -> Shot:
        if shot.identity in added.shot_pixels:
            return added.shot_pixels[shot.identity]
        image = decode(read_blob(shot.image_sha256), shot.bits)
        return Shot(image, decode_mask(read_blob(shot.mask_sha256), _STORED))

    def normal_of(normal: NormalRecord) -> Image:
        if normal.identity in added.normal_pixels:
            return added.normal_pixels[normal.identity]
        return decode(read_blob(normal.image_sha256), normal.bits)

    return Material(tuple(map(shot_of, record.shots)), tuple(map(normal_of, record.normals)))
