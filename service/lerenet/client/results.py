"""Answers of the service as frozen records: sizes are (H, W), boxes [x, y, w, h] in pixels as displayed."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, ConfigDict, SkipValidation
from pydantic.dataclasses import dataclass

from lerenet.client.metadata import Value
from lerenet.errors import ServiceError
from lerenet.formats.polygons import checked_polygons, fill_polygons
from lerenet.imaging import ImageLimits, Mask, decode_coco_rle, decode_image

Box = tuple[int, int, int, int]
_ARRAYS = ConfigDict(arbitrary_types_allowed=True)


def _decoded(mask: Any) -> Any:
    """A mask from the JSON as an array; one that is an array already, or absent, as it is."""
    if not isinstance(mask, dict):
        return mask
    if "result" in mask or "label" in mask:
        raise ValueError("a mask for another tool, Label Studio or CVAT, which this client does not read")
    try:
        height, width = mask["size"]
        as_announced = ImageLimits(max_pixels=height * width, max_side_px=max(height, width))
        if "png" in mask:
            return decode_image(b64decode(mask["png"]), as_announced)
        if "polygons" in mask:
            return fill_polygons(checked_polygons(mask["polygons"]), height, width)
    except (KeyError, TypeError) as err:
        raise ValueError(f"a mask without a usable {err}") from err
    return decode_coco_rle(mask, limits=as_announced)


MaskField = Annotated[SkipValidation[NDArray[np.uint8] | None], BeforeValidator(_decoded)]


@dataclass(frozen=True)
class ShotSummary:
    """One marked image of a class; `area_px` counts its marked pixels."""

    index: int
    height: int
    width: int
    area_px: int


@dataclass(frozen=True)
class Quality:
    """How well the shots of a class predict each other: `loo_iou`, 0 to 1, of each segmented by the others, pooled."""

    loo_iou: float


@dataclass(frozen=True)
class SupportClass:
    """A registered class at one revision.

    Attributes:
        name: Of the class.
        revision: 16 hex digits over images, masks, normals and parameters.
        created_at: When the name was first registered.
        description: Free text.
        shots: Its marked images.
        normals: Number of its defect-free images.
        threshold: Probability from which a pixel is marked, 0 to 1.
        min_area_px: Regions of fewer pixels are left out.
        scale: Working scale, 1 to 0.125; None until the class is prepared for the weights in use.
        quality: None for a single shot.
        min_score: Regions of a lower score are left out, 0 to 1.
    """

    name: str
    revision: str
    created_at: datetime
    description: str
    shots: tuple[ShotSummary, ...]
    normals: int
    threshold: float
    min_area_px: int
    scale: float | None = None
    quality: Quality | None = None
    min_score: float = 0.0


@dataclass(frozen=True)
class Region:
    """An 8-connected region of a mask; `score` is the probability that it is right, 0 to 1."""

    bbox: Box
    area_px: int
    score: float


@dataclass(frozen=True, eq=False, config=_ARRAYS)
class ClassResult:
    """What one image shows of one class.

    Attributes:
        name: Of the class.
        revision: Of the class.
        score: Highest score of a region, also of one left out; where there is none, that of the most probable pixel.
        threshold: The one that made the mask.
        area_px: Marked pixels.
        area_fraction: Their share of the image, 0 to 1.
        bbox: Around all of them; None when nothing is marked.
        regions: The parts of the mask.
        mask: (H, W) uint8 in {0, 1}; the probability as `round(255 p)` where `probability` was asked for; None where
            `none` was.
        min_score: Least score of a region in the mask.
    """

    name: str
    revision: str
    score: float
    threshold: float
    area_px: int
    area_fraction: float
    bbox: Box | None
    regions: tuple[Region, ...]
    mask: MaskField = None
    min_score: float = 0.0

    @property
    def binary_mask(self) -> Mask:
        """The mask, where a binary one was asked for.

        Raises:
            ServiceError: The answer holds none.
        """
        if self.mask is None:
            raise ServiceError(f"the answer holds no mask of {self.name}; ask for mask='binary'")
        return self.mask


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found in one image, with what it takes to trace it.

    Attributes:
        index: Of the image in the request.
        filename: As it was sent.
        height: In pixels, as displayed.
        width: In pixels, as displayed.
        classes: One result for each class that was asked for.
        weights: Sha256 of the weights file.
        request_id: Under which the service's log has it.
        metadata: Of the inspection, as it was sent.
    """

    index: int
    filename: str | None
    height: int
    width: int
    classes: tuple[ClassResult, ...]
    weights: str | None = None
    request_id: str | None = None
    metadata: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassPage:
    """A page of classes; `next` is the cursor of the following one."""

    classes: tuple[SupportClass, ...]
    next: str | None = None


@dataclass(frozen=True, eq=False)
class SegmentAnswer:
    """The body of a segmentation."""

    results: tuple[FrameResult, ...]
    weights: str | None = None
    request_id: str | None = None
    metadata: dict[str, Value] = field(default_factory=dict)
