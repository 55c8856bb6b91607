"""What `lerenet segment` does with each file, and the report it leaves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from lerenet import __version__
from lerenet.client import ClassResult, Client, FrameResult, ServiceProblem
from lerenet.datasets.folder import IMAGE_SUFFIXES
from lerenet.errors import RequestError
from lerenet.imaging import ImageLimits, class_colour, decode_image, encode_bilevel_png, encode_image_png
from lerenet.imaging.overlay import as_rgb, overlay

REPORT_FILE = "results.json"

# No right, no class, no service: every other file would meet the same.
_OF_THE_RUN = frozenset({401, 403, 404, 409, 502, 503})


@dataclass(frozen=True)
class FileReport:
    """What became of one file.

    Attributes:
        file: Its name.
        error: Why it was passed over; None when it was segmented.
        found: Its row in the report.
    """

    file: str
    error: str | None = None
    found: dict[str, Any] = field(default_factory=dict)


class SegmentRun:
    """Segments files and writes what was found.

    Args:
        client: Of the service.
        paths: The files.
        out: Folder of the results, which exists.
        classes: As `name` or `name@revision`; None for all.
        threshold: Instead of each class's own, 0 to 1.
        min_area_px: Instead of each class's own.
        bits: Depth of 16-bit grey images, 12 or 16.
    """

    def __init__(
        self,
        client: Client,
        paths: Sequence[Path],
        out: Path,
        *,
        classes: Sequence[str] | None = None,
        threshold: float | None = None,
        min_area_px: int | None = None,
        bits: Literal[12, 16] = 16,
    ) -> None:
        self.paths = paths
        self.out = out
        self.reports: list[FileReport] = []
        self._client = client
        self._classes = classes
        self._threshold = threshold
        self._min_area_px = min_area_px
        self._bits: Literal[12, 16] = bits
        self._names = _output_names(paths)

    @property
    def failures(self) -> list[FileReport]:
        """Files that were passed over."""
        return [report for report in self.reports if report.error is not None]

    def segment(self, path: Path) -> FileReport:
        """Segments one file and writes its masks and overlay; may run in several threads.

        Raises:
            ServiceError: The service is not there, or refuses what all files have in common.
        """
        try:
            data = path.read_bytes()
            [frame] = self._client.segment(
                [data], self._classes, self._threshold, min_area_px=self._min_area_px, bits=self._bits
            )
            return FileReport(path.name, found=self._written(path, data, frame))
        except ServiceProblem as problem:
            if problem.status in _OF_THE_RUN:
                raise
            return FileReport(path.name, str(problem))
        except (OSError, RequestError) as err:
            return FileReport(path.name, str(err))

    def write_report(self) -> None:
        """Writes `results.json`: what was asked, and a row for each file so far."""
        document = {
            "lerenet": __version__,
            "url": self._client.url,
            "classes": None if self._classes is None else list(self._classes),
            "threshold": self._threshold,
            "min_area_px": self._min_area_px,
            "bits": self._bits,
            "results": [report.found for report in self.reports if report.error is None],
            "failures": [{"file": report.file, "error": report.error} for report in self.failures],
        }
        (self.out / REPORT_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    def totals(self) -> Iterator[tuple[str, int, int, int]]:
        """For each class: images with it, regions, marked pixels."""
        images, regions, marked_px = Counter[str](), Counter[str](), Counter[str]()
        for found in (each for report in self.reports for each in report.found.get("classes", ())):
            name = found["name"]
            images[name] += bool(found["area_px"])
            regions[name] += len(found["regions"])
            marked_px[name] += found["area_px"]
        for name in sorted(images):
            yield name, images[name], regions[name], marked_px[name]

    def _written(self, path: Path, data: bytes, frame: FrameResult) -> dict[str, Any]:
        name = self._names[path]
        size = ImageLimits(max_pixels=frame.height * frame.width, max_side_px=max(frame.height, frame.width))
        picture = as_rgb(decode_image(data, size, bits=self._bits))
        rows = []
        for index, (found, folder) in enumerate(zip(frame.classes, _folders(frame), strict=True), start=1):
            mask = found.binary_mask
            self._write(f"masks/{folder}/{name}", encode_bilevel_png(mask))
            picture = overlay(picture, mask, class_colour(index))
            rows.append({**_fields(found), "mask": f"masks/{folder}/{name}"})
        self._write(f"overlays/{name}", encode_image_png(picture))
        traces = {"weights": frame.weights, "request_id": frame.request_id}
        sizes = {"height": frame.height, "width": frame.width}
        return {"file": path.name, **sizes, **traces, "overlay": f"overlays/{name}", "classes": rows}

    def _write(self, name: str, data: bytes) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def find_images(path: Path) -> list[Path]:
    """The file itself, or the images directly in a folder by name."""
    if path.is_file():
        return [path]
    return sorted(
        each for each in path.iterdir() if each.suffix.lower() in IMAGE_SUFFIXES and not each.name.startswith(".")
    )


def _output_names(paths: Sequence[Path]) -> dict[Path, str]:
    """PNG name of each file: its own, with the suffix kept where two files differ in nothing else."""
    stems = Counter(path.stem for path in paths)
    return {path: f"{path.stem if stems[path.stem] == 1 else path.name}.png" for path in paths}


def _folders(frame: FrameResult) -> list[str]:
    """Folder of each class: its name, with the revision where two are of one name."""
    names = Counter(found.name for found in frame.classes)
    return [found.name if names[found.name] == 1 else f"{found.name}@{found.revision}" for found in frame.classes]


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
