"""Files of a registration to what the registry takes: decoded, paired and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from lerenet.imaging import Image, ImageLimits, Mask, check_pair, decode_image
from lerenet.observability import timed_stage
from lerenet.runtime.pools import ThreadPool
from lerenet.support import NormalUpload, ShotUpload


class MaskSource(Protocol):
    """Where the mask of an image comes from: a file, or an annotation."""

    @property
    def pointer(self) -> str:
        """Where in the request it lies."""

    def read(self, image: Image, limits: ImageLimits) -> Mask:
        """The mask, (H, W) uint8 in {0, 1}; runs on a decoding thread."""


@dataclass(frozen=True)
class SupportFiles:
    """What was sent for a class.

    Attributes:
        images: Image files, one per shot.
        masks: As many sources, in the same order.
        normals: Files of defect-free images.
        bits: Depth of 16-bit grey images, 12 or 16.
    """

    images: Sequence[bytes]
    masks: Sequence[MaskSource]
    normals: Sequence[bytes] = ()
    bits: int = 16


async def read_support(
    files: SupportFiles, limits: ImageLimits, decoders: ThreadPool
) -> tuple[list[ShotUpload], list[NormalUpload]]:
    """Decodes everything; one fault refuses all of it.

    Raises:
        RequestError: A file that cannot be read, or a mask that does not fit its image.
        QueueFull: No memory for more images now.
    """
    with timed_stage("decode"):
        shot = partial(_read_shot, limits, files.bits)
        shots = await decoders.map(shot, range(len(files.images)), files.images, files.masks)
        normal = partial(_read_normal, limits, files.bits)
        normals = await decoders.map(normal, range(len(files.normals)), files.normals)
    return shots, normals


def _read_shot(limits: ImageLimits, bits: int, index: int, data: bytes, source: MaskSource) -> ShotUpload:
    image = decode_image(data, limits, bits=bits, pointer=f"/images/{index}")
    # the image has reserved the room; its mask is held to the same size, so the plain limits do
    mask = source.read(image, ImageLimits(limits.max_pixels, limits.max_side_px))
    check_pair(image, mask, pointer=source.pointer)
    return ShotUpload(data, image, mask, bits)


def _read_normal(limits: ImageLimits, bits: int, index: int, data: bytes) -> NormalUpload:
    return NormalUpload(data, decode_image(data, limits, bits=bits, pointer=f"/normals/{index}"), bits)
