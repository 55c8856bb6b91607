"""Sums over a job, from its record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Self

from lerenet.jobs.asked import Asked
from lerenet.jobs.record import JobRecord


@dataclass(frozen=True)
class ClassTotal:
    """What a job found of one class; `best_score` is None when it marked nothing.

    Attributes:
        label: What the class is called in the results.
        n_images: Images with something marked.
        n_regions: Regions in them.
        area_px: Marked pixels.
        best_score: Highest score of an image with something marked, 0 to 1.
    """

    label: str
    n_images: int
    n_regions: int
    area_px: int
    best_score: float | None


@dataclass(frozen=True)
class Totals:
    """Counts of files, and what was found of each class, in the order asked."""

    n_segmented: int
    n_failed: int
    n_to_do: int
    weights: str | None
    classes: tuple[ClassTotal, ...]

    @classmethod
    def of(cls, record: JobRecord, asked: Asked, *, n_to_do: int) -> Self:
        """Reads the record once."""
        files, images, regions, area_px = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
        best: dict[str, float] = {}
        weights = None
        for entry in record.entries():
            files["segmented" if "found" in entry else "failed"] += 1
            found = entry.get("found", {})
            weights = found.get("weights", weights)
            for each in (each for each in found.get("classes", ()) if each["area_px"]):
                label = each["label"]
                images[label] += 1
                regions[label] += len(each["regions"])
                area_px[label] += each["area_px"]
                best[label] = max(best.get(label, 0.0), each["score"])
        classes = (
            ClassTotal(label, images[label], regions[label], area_px[label], best.get(label))
            for label in asked.labels.values()
        )
        return cls(files["segmented"], files["failed"], n_to_do, weights, tuple(classes))
