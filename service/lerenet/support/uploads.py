"""From what a caller hands in to records, blobs and pixels: the content of a new revision."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lerenet.imaging import Image, Mask, Shot, check_pair, encode_bilevel_png
from lerenet.support.records import NormalRecord, ShotRecord


@dataclass(frozen=True, eq=False)
class ShotUpload:
    """An annotated image as it arrived, and what it decoded to.

    Attributes:
        data: The image file; stored as it is.
        image: `data` decoded: (H, W) grey or (H, W, 3) RGB uint8, as displayed.
        mask: (H, W) uint8 in {0, 1}, 1 where the defect is; stored as 1-bit PNG.
        bits: Depth that `data` was decoded with, 12 or 16.
    """

    data: bytes
    image: Image
    mask: Mask
    bits: int = 16


@dataclass(frozen=True, eq=False)
class NormalUpload:
    """A defect-free image as it arrived; attributes as in `ShotUpload`."""

    data: bytes
    image: Image
    bits: int = 16


@dataclass(frozen=True, eq=False)
class Contribution:
    """Uploads, hashed: records that are not yet part of a class, with their bytes and pixels.

    Attributes:
        shots: Records in upload order.
        normals: Records in upload order.
        blobs: Bytes to store, by hex sha256.
        shot_pixels: Decoded shots by `ShotRecord.identity`.
        normal_pixels: Decoded normals by `NormalRecord.identity`.
    """

    shots: tuple[ShotRecord, ...] = ()
    normals: tuple[NormalRecord, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    shot_pixels: Mapping[tuple[str, int, str], Shot] = field(default_factory=dict)
    normal_pixels: Mapping[tuple[str, int], Image] = field(default_factory=dict)


NO_UPLOADS = Contribution()


def hash_uploads(shots: Sequence[ShotUpload], normals: Sequence[NormalUpload]) -> Contribution:
    """Check, hash and encode what was uploaded; about 1 ms per MB, so not for the event loop.

    Raises:
        InvalidMask: A mask differs in size from its image, or marks nothing; the pointer is `/masks/i`.
    """
    blobs: dict[str, bytes] = {}
    shot_records = tuple(_record_shot(i, upload, blobs) for i, upload in enumerate(shots))
    normal_records = tuple(_record_normal(i, upload, blobs) for i, upload in enumerate(normals))
    return Contribution(
        shots=shot_records,
        normals=normal_records,
        blobs=blobs,
        shot_pixels={r.identity: Shot(u.image, u.mask) for r, u in zip(shot_records, shots, strict=True)},
        normal_pixels={r.identity: u.image for r, u in zip(normal_records, normals, strict=True)},
    )


def mask_pixels_sha256(mask: Mask) -> str:
    """Hex sha256 over a mask's height, width and packed pixels."""
    height, width = mask.shape
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.packbits(mask, axis=None).tobytes())
    return digest.hexdigest()


def _record_shot(index: int, upload: ShotUpload, blobs: dict[str, bytes]) -> ShotRecord:
    check_pair(upload.image, upload.mask, pointer=f"/masks/{index}")
    height, width = upload.mask.shape
    return ShotRecord(
        index=index,
        height=height,
        width=width,
        area_px=int(np.count_nonzero(upload.mask)),
        bits=upload.bits,
        image_sha256=_keep(upload.data, blobs),
        mask_sha256=_keep(encode_bilevel_png(upload.mask), blobs),
        pixels_sha256=mask_pixels_sha256(upload.mask),
    )


def _record_normal(index: int, upload: NormalUpload, blobs: dict[str, bytes]) -> NormalRecord:
    height, width = upload.image.shape[:2]
    return NormalRecord(index, height, width, upload.bits, _keep(upload.data, blobs))


def _keep(data: bytes, blobs: dict[str, bytes]) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    blobs[sha256] = data
    return sha256
