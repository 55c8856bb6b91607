"""Masks inside answers: one body for each `format`."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from lerenet.api.bodies import Body, Fraction
from lerenet.formats.cvat import cvat_shape
from lerenet.formats.label_studio import brush_result, prediction
from lerenet.formats.outlines import mask_to_polygons
from lerenet.imaging import encode_bilevel_png, encode_coco_rle, encode_grey_png, rle_counts
from lerenet.runtime import Finding

MaskFormat = Literal["coco_rle", "rle", "png", "probability", "polygons", "label_studio", "cvat", "none"]

DECIMALS = 6
"""Of a score."""

Size = Annotated[tuple[int, int], Field(description="[H, W]", examples=[[200, 200]])]


class CocoMask(Body):
    """COCO RLE, as pycocotools reads it."""

    size: Size
    counts: str = Field(description="Compressed runs down the columns")


class RunMask(Body):
    """COCO RLE, uncompressed."""

    size: Size
    counts: list[int] = Field(description="Run lengths down the columns, background first; they add up to H * W")


class PngMask(Body):
    """A PNG in base64: 1-bit for `png`, 8-bit grey round(255 p) for `probability`."""

    size: Size
    png: str


class PolygonMask(Body):
    """Outlines along pixel edges; the first pixel spans 0 to 1."""

    size: Size
    polygons: list[list[int]] = Field(
        description="x1, y1, x2, y2, ... of each part whose pixels touch along an edge. A hole is reached over a bridge"
        " that is walked both ways; filled by the even-odd rule, each gives its part without the hole",
        examples=[[[1, 1, 3, 1, 3, 3, 1, 3]]],
    )


class BrushValueBody(Body):
    """Label Studio's brush."""

    format: Literal["rle"]
    rle: list[int] = Field(description="Bytes of the run-length encoding")
    brushlabels: list[str]


class BrushResultBody(Body):
    """One painted mask of a Label Studio prediction."""

    id: str
    type: Literal["brushlabels"]
    value: BrushValueBody
    original_width: int
    original_height: int
    image_rotation: Literal[0]
    from_name: str = Field(description="Name of the `BrushLabels` in the labelling configuration")
    to_name: str = Field(description="Name of the `Image` in it")
    score: Fraction


class PredictionBody(Body):
    """A prediction for a Label Studio task; nothing found, no result."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str = Field(examples=["scratches@9f2d04c1a7be3358"])
    score: Fraction
    result: list[BrushResultBody]


class CvatMask(Body):
    """A shape for CVAT's automatic annotation; null when nothing is marked."""

    type: Literal["mask"]
    label: str
    confidence: str = Field(examples=["0.91"])
    mask: list[int] = Field(
        description="0 and 1 of the box, row by row, then xtl, ytl, xbr, ybr of the box, the last two inclusive",
        examples=[[1, 1, 1, 1, 1, 1, 2, 2]],
    )


MaskBody = CocoMask | RunMask | PngMask | PolygonMask | PredictionBody | CvatMask


def mask_body(finding: Finding, form: MaskFormat) -> MaskBody | None:
    """The mask of a finding in the format that is wanted."""
    return _BODIES[form](finding)


def _size(finding: Finding) -> tuple[int, int]:
    height, width = finding.segmented.mask.shape
    return height, width


def _coco(finding: Finding) -> CocoMask:
    return CocoMask(size=_size(finding), counts=encode_coco_rle(finding.segmented.mask)["counts"])


def _runs(finding: Finding) -> RunMask:
    return RunMask(size=_size(finding), counts=rle_counts(finding.segmented.mask))


def _png(finding: Finding) -> PngMask:
    return PngMask(size=_size(finding), png=b64encode(encode_bilevel_png(finding.segmented.mask)).decode())


def _probability(finding: Finding) -> PngMask:
    return PngMask(size=_size(finding), png=b64encode(encode_grey_png(finding.q)).decode())


def _polygons(finding: Finding) -> PolygonMask:
    return PolygonMask(size=_size(finding), polygons=mask_to_polygons(finding.segmented.mask))


def _prediction(finding: Finding) -> PredictionBody:
    found, score = finding.segmented, round(finding.segmented.score, DECIMALS)
    results = [] if found.bbox is None else [brush_result(found.mask, finding.name, score)]
    return PredictionBody.model_validate(prediction(results, f"{finding.name}@{finding.revision}", score))


def _cvat(finding: Finding) -> CvatMask | None:
    found = finding.segmented
    if found.bbox is None:
        return None
    return CvatMask.model_validate(cvat_shape(found.mask, found.bbox, finding.name, round(found.score, DECIMALS)))


_BODIES: dict[MaskFormat, Callable[[Finding], MaskBody | None]] = {
    "coco_rle": _coco,
    "rle": _runs,
    "png": _png,
    "probability": _probability,
    "polygons": _polygons,
    "label_studio": _prediction,
    "cvat": _cvat,
    "none": lambda finding: None,
}
