"""Findings as answers: fields of the JSON, and PNG images. Runs on the encoding threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lerenet.api.masks import DECIMALS, MaskFormat, mask_body
from lerenet.api.negotiation import JSON
from lerenet.api.schemas import ClassResult, RegionBody
from lerenet.errors import NotAcceptable
from lerenet.imaging import encode_bilevel_png, encode_grey_png, encode_palette_png
from lerenet.runtime import Finding

MAX_PALETTE_CLASSES = 255


def class_result(finding: Finding, form: MaskFormat) -> ClassResult:
    """A finding as JSON fields."""
    segmented = finding.segmented
    return ClassResult(
        name=finding.name,
        revision=finding.revision,
        score=round(segmented.score, DECIMALS),
        threshold=finding.threshold,
        min_score=finding.min_score,
        area_px=segmented.area_px,
        area_fraction=round(segmented.area_fraction, 2 * DECIMALS),
        bbox=segmented.bbox,
        regions=[
            RegionBody(bbox=region.bbox, area_px=region.area_px, score=round(region.score, DECIMALS))
            for region in segmented.regions
        ],
        mask=mask_body(finding, form),
    )


class PngCanvas:
    """One image as PNG, painted class by class.

    One class gives its mask, 1-bit, or its 8-bit probability map. Several give a palette image: each pixel belongs to
    the class of highest probability among those that mark it, the first of equals.

    Args:
        is_probability: Whether the map is wanted; one class only.
    """

    def __init__(self, *, is_probability: bool) -> None:
        self._is_probability = is_probability
        self._painted: list[Finding] = []
        self._labels: NDArray[np.uint8] | None = None
        self._best: NDArray[np.uint8] | None = None
        self._n_classes = 0

    def paint(self, finding: Finding) -> ClassResult:
        """Adds the next class, and gives back its fields.

        Raises:
            NotAcceptable: More classes than one PNG can show.
        """
        self._n_classes += 1
        if self._n_classes == 1:
            self._painted = [finding]
            return class_result(finding, "none")
        if self._is_probability or self._n_classes > MAX_PALETTE_CLASSES:
            n = 1 if self._is_probability else MAX_PALETTE_CLASSES
            detail = f"a PNG of this format shows {n} class at most: name it in `classes`, or accept {JSON}"
            raise NotAcceptable(detail)
        for each in (*self._painted, finding):
            self._paint_label(each)
        self._painted = []
        return class_result(finding, "none")

    def png(self) -> bytes:
        """The image; slow for large ones."""
        if self._labels is not None:
            return encode_palette_png(self._labels, self._n_classes)
        single = self._painted[0]
        return encode_grey_png(single.q) if self._is_probability else encode_bilevel_png(single.segmented.mask)

    def _paint_label(self, finding: Finding) -> None:
        if self._labels is None or self._best is None:
            self._labels, self._best = np.zeros_like(finding.q), np.zeros_like(finding.q)
        is_marked = finding.segmented.mask != 0
        is_won = is_marked & ((finding.q > self._best) | (self._labels == 0))
        self._labels[is_won] = finding.place + 1
        self._best[is_won] = finding.q[is_won]
