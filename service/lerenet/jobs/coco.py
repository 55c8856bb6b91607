"""`coco.json`: frames as images, classes as categories, the mask of a class in a frame as an annotation with a score.

pycocotools reads it as a data set, and its `annotations` as results. Source: the format as `pycocotools.coco` reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from lerenet import __version__
from lerenet.jobs.asked import Asked
from lerenet.jobs.record import JobRecord
from lerenet.jobs.results import founds, write_document


def write_coco(path: Path, record: JobRecord, asked: Asked, url: str) -> None:
    """Writes all frames and what is marked in them, one at a time.

    Args:
        path: Of the file.
        record: What was done.
        asked: The question.
        url: Of the service.
    """
    categories = {label: index for index, label in enumerate(asked.labels.values(), start=1)}
    head = {
        "info": {"description": f"segmented by lerenet {__version__}", "url": url},
        "licenses": [],
        "categories": [
            {"id": category, "name": label, "supercategory": "defect"} for label, category in categories.items()
        ],
    }
    images = (_image(index, found) for index, found in enumerate(founds(record), start=1))
    write_document(path, head, {"images": images, "annotations": _annotations(record, categories)})


def _image(index: int, found: dict[str, Any]) -> dict[str, Any]:
    return {"id": index, "file_name": found["file"], "height": found["height"], "width": found["width"]}


def _annotations(record: JobRecord, categories: dict[str, int]) -> Iterator[dict[str, Any]]:
    ids = count(1)
    for image, found in enumerate(founds(record), start=1):
        for each in (each for each in found["classes"] if each["area_px"]):
            yield {
                "id": next(ids),
                "image_id": image,
                "category_id": categories[each["label"]],
                "segmentation": each["rle"],
                "bbox": each["bbox"],
                "area": each["area_px"],
                "iscrowd": 0,
                "score": each["score"],
            }
