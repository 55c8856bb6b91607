"""One file through the service: its masks, its overlay, its thumbnail, and the entry that the record keeps."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from lerenet.client import ClassResult, Client, FrameResult, ServiceProblem
from lerenet.errors import RequestError
from lerenet.files import replacing
from lerenet.imaging import (
    ImageLimits,
    class_colour,
    decode_image,
    encode_bilevel_png,
    encode_coco_rle,
    encode_image_png,
)
from lerenet.imaging.overlay import as_rgb, overlay
from lerenet.jobs.asked import Asked
from lerenet.jobs.thumbnails import encode_thumbnail

# No right, no class, no service: every other file would meet the same.
_OF_THE_JOB = frozenset({401, 403, 404, 409, 502, 503})
# What the service says of the file itself, and would say again; a time-out or too many requests pass.
_OF_THE_FILE = frozenset(range(400, 500)) - {408, 429}
# A file name may be too long; a full disk concerns all files.
_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO})


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file: `error` says why it was passed over, None when it was segmented."""

    file: str
    error: str | None = None


def digest_of(path: Path) -> str:
    """Sha256 of a file's content; empty when it cannot be read, which is no digest."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


class FrameWriter:
    """Segments files and writes what was found; safe to use from several threads.

    Args:
        client: Of the service.
        out: Folder of the results.
        asked: The question.
    """

    def __init__(self, client: Client, out: Path, asked: Asked) -> None:
        self._client = client
        self._out = out
        self._asked = asked
        self._labels = asked.labels
        self._colours = {reference: class_colour(index) for index, reference in enumerate(asked.references, start=1)}

    def entry(self, path: Path, stem: str) -> dict[str, Any]:
        """Segments a file and writes its outputs.

        Args:
            path: The file.
            stem: Of its outputs' names.

        Returns:
            Its entry for the record.

        Raises:
            ServiceError: The service is not there, or refuses what all files have in common.
            OSError: The disk is full or failing.
        """
        digest = ""
        try:
            data = path.read_bytes()
            digest = sha256(data).hexdigest()
            found, is_final = self._found(path, data, stem), True
        except ServiceProblem as problem:
            if problem.status in _OF_THE_JOB:
                raise
            error, is_final = str(problem), problem.status in _OF_THE_FILE
        except RequestError as err:
            error, is_final = str(err), True
        except OSError as err:
            if err.errno in _OF_THE_DISK and err.filename != str(path):
                raise
            error, is_final = str(err), False
        else:
            return {"file": path.name, "sha256": digest, "found": found}
        return {"file": path.name, "sha256": digest, "error": error, "is_final": is_final}

    def _found(self, path: Path, data: bytes, stem: str) -> dict[str, Any]:
        asked = self._asked
        [frame] = self._client.segment(
            [data],
            asked.references,
            asked.threshold,
            min_area_px=asked.min_area_px,
            bits=asked.bits,
            metadata=asked.metadata,
        )
        return {
            "file": path.name,
            "height": frame.height,
            "width": frame.width,
            "weights": frame.weights,
            "request_id": frame.request_id,
            **({"metadata": frame.metadata} if frame.metadata else {}),
            "overlay": f"overlays/{stem}.png",
            "thumbnail": f"thumbnails/{stem}.jpg",
            "classes": list(self._written(data, frame, stem)),
        }

    def _written(self, data: bytes, frame: FrameResult, stem: str) -> Iterator[dict[str, Any]]:
        size = ImageLimits(max_pixels=frame.height * frame.width, max_side_px=max(frame.height, frame.width))
        picture = as_rgb(decode_image(data, size, bits=self._asked.bits))
        boxes = []
        for found in frame.classes:
            reference = f"{found.name}@{found.revision}"
            label, colour = self._labels[reference], self._colours[reference]
            mask = found.binary_mask
            name = f"masks/{label}/{stem}.png"
            _write_whole(self._out / name, encode_bilevel_png(mask))
            picture = overlay(picture, mask, colour)
            boxes += [(region.bbox, colour) for region in found.regions]
            yield {**_fields(found), "label": label, "mask": name, "rle": encode_coco_rle(mask)}
        _write_whole(self._out / f"overlays/{stem}.png", encode_image_png(picture))
        _write_whole(self._out / f"thumbnails/{stem}.jpg", encode_thumbnail(picture, boxes))


def outputs_of(found: dict[str, Any]) -> Iterator[str]:
    """Paths below the results folder of what was written about a file."""
    yield found["overlay"]
    yield found["thumbnail"]
    yield from (each["mask"] for each in found["classes"])


def _fields(found: ClassResult) -> dict[str, Any]:
    return {
        "name": found.name,
        "revision": found.revision,
        "score": found.score,
        "threshold": found.threshold,
        "area_px": found.area_px,
        "area_fraction": found.area_fraction,
        "bbox": found.bbox,
        "regions": [asdict(region) for region in found.regions],
    }


def _write_whole(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(data)
