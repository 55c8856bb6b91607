"""What a request asks of its images, and what one class shows in one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lerenet.errors import MalformedRequest
from lerenet.imaging import Image
from lerenet.inference.confidence import Confidence
from lerenet.inference.regions import MaskRule, SegmentedClass, read_map
from lerenet.support import ResolvedClass

Box = tuple[int, int, int, int]
Map = NDArray[np.uint8]


class Scaled(Protocol):
    """Prototypes, as far as reading a map goes."""

    @property
    def scale(self) -> float:
        """Working scale of the class."""


@dataclass(frozen=True)
class SegmentationQuery:
    """What a request asks of its images.

    Attributes:
        references: Classes as `name` or `name@revision`; empty for all.
        threshold: Instead of each class's own, 0 to 1.
        min_area_px: Instead of each class's own.
        min_score: Instead of each class's own, 0 to 1.
        roi: [x, y, w, h] in pixels as displayed; only this part of each image is looked at.
        bits: Depth of 16-bit grey images, 12 or 16.
    """

    references: tuple[str, ...] = ()
    threshold: float | None = None
    min_area_px: int | None = None
    roi: Box | None = None
    bits: int = 16
    min_score: float | None = None

    def check_size(self, image: Image, pointer: str) -> None:
        """Refuses an image that the region of interest does not fit.

        Raises:
            MalformedRequest: The region passes the border.
        """
        if self.roi is None:
            return
        x, y, width, height = self.roi
        if y + height > image.shape[0] or x + width > image.shape[1]:
            detail = (
                f"roi={x},{y},{width},{height} (x, y, w, h) passes the border of {pointer}, which has"
                f" {image.shape[0]} x {image.shape[1]} px (H x W): keep it inside"
            )
            raise MalformedRequest(detail, pointer="/roi")

    def looked_at(self, image: Image) -> Image:
        """The part of an image that is of interest; a view."""
        if self.roi is None:
            return image
        x, y, width, height = self.roi
        return image[y : y + height, x : x + width]


@dataclass(frozen=True, slots=True)
class SoughtClass:
    """A class that a request looks for, and what makes a mask of its maps.

    Attributes:
        name: Of the class.
        revision: Of the class.
        rule: Its own parameters, and the request's before them.
    """

    name: str
    revision: str
    rule: MaskRule


def sought_class(resolved: ResolvedClass[Scaled], query: SegmentationQuery) -> SoughtClass:
    """A class of the registry under what a request says."""
    record, own = resolved.record, resolved.record.parameters
    rule = MaskRule(
        threshold=resolved.threshold if query.threshold is None else query.threshold,
        min_area_px=own.min_area_px if query.min_area_px is None else query.min_area_px,
        min_score=resolved.min_score if query.min_score is None else query.min_score,
        confidence=Confidence(*resolved.confidence),
        scale=resolved.encoding.scale,
    )
    return SoughtClass(record.name, record.revision, rule)


@dataclass(frozen=True, eq=False)
class Finding:
    """One class in one image.

    Attributes:
        place: Position of the class in the answer.
        name: Of the class.
        revision: Of the class.
        threshold: The one that made the mask.
        min_score: Least score of a region in it.
        segmented: Mask, regions and score, at the image's size.
        q: (H, W) uint8, probabilities as round(255 p), at the image's size.
    """

    place: int
    name: str
    revision: str
    threshold: float
    min_score: float
    segmented: SegmentedClass
    q: Map


def read_finding(q: Map, size: tuple[int, int], place: int, sought: SoughtClass, roi: Box | None) -> Finding:
    """Reads the map of one class.

    Args:
        q: Probabilities as round(255 p), of the part of the image that was looked at.
        size: (H, W) of the whole image.
        place: Position of the class in the answer.
        sought: The class.
        roi: [x, y, w, h] of that part; None where it is the whole.
    """
    rule = sought.rule
    segmented = read_map(q, rule)
    if roi is not None:
        segmented, q = _in_whole(segmented, roi, size), _placed(q, roi, size)
    return Finding(place, sought.name, sought.revision, rule.threshold, rule.min_score, segmented, q)


def _in_whole(segmented: SegmentedClass, roi: Box, size: tuple[int, int]) -> SegmentedClass:
    """What was found in a region of interest, in the coordinates of the whole image and as a share of it."""
    return replace(
        segmented,
        mask=_placed(segmented.mask, roi, size),
        regions=tuple(replace(region, bbox=_moved(region.bbox, roi)) for region in segmented.regions),
        bbox=None if segmented.bbox is None else _moved(segmented.bbox, roi),
        area_fraction=segmented.area_px / (size[0] * size[1]),
    )


def _placed(part: Map, roi: Box, size: tuple[int, int]) -> Map:
    x, y, width, height = roi
    whole = np.zeros(size, np.uint8)
    whole[y : y + height, x : x + width] = part
    return whole


def _moved(box: Box, roi: Box) -> Box:
    return box[0] + roi[0], box[1] + roi[1], box[2], box[3]
