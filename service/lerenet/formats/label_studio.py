"""Label Studio's predictions: masks that an annotator finds painted already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from lerenet.formats.brush import encode_brush
from lerenet.imaging import Mask

FROM_NAME = "tag"
TO_NAME = "image"
"""Names of the brush and of the image in Label Studio's own template for masks."""


class BrushValue(TypedDict):
    """A painted mask and its label."""

    format: Literal["rle"]
    rle: list[int]
    brushlabels: list[str]


class BrushResult(TypedDict):
    """One painted mask of a prediction; sizes in pixels."""

    id: str
    type: Literal["brushlabels"]
    value: BrushValue
    original_width: int
    original_height: int
    image_rotation: Literal[0]
    from_name: str
    to_name: str
    score: float


class Prediction(TypedDict):
    """What Label Studio takes as a prediction of a task."""

    model_version: str
    score: float
    result: list[BrushResult]


def brush_result(
    mask: Mask,
    label: str,
    score: float,
    *,
    names: tuple[str, str] = (FROM_NAME, TO_NAME),
    region_id: str | None = None,
) -> BrushResult:
    """A mask as a brush stroke.

    Args:
        mask: (H, W) uint8 in {0, 1}.
        label: Of the labelling configuration.
        score: 0 to 1.
        names: Of its `BrushLabels` and of its `Image`.
        region_id: Unlike those of other results of the same prediction; None makes one of the label.
    """
    height, width = mask.shape
    from_name, to_name = names
    return {
        "id": region_id or f"lerenet-{label}",
        "type": "brushlabels",
        "value": {"format": "rle", "rle": encode_brush(mask), "brushlabels": [label]},
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "from_name": from_name,
        "to_name": to_name,
        "score": score,
    }


def prediction(results: Sequence[BrushResult], model_version: str, score: float) -> Prediction:
    """A prediction of one task.

    Args:
        results: Painted masks, one for each label; none where nothing was found.
        model_version: Under which Label Studio lists it.
        score: Of the whole, 0 to 1.
    """
    return {"model_version": model_version, "score": score, "result": list(results)}
