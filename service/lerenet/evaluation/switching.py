"""What changes when the service switches its weights: every registered class, segmented under both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lerenet.evaluation.sheets import ClassSheet, SheetRow, render_sheet, shrink_mask, shrink_shot
from lerenet.imaging.images import encode_image_png
from lerenet.imaging.overlap import OverlapCounts, overlap
from lerenet.imaging.shots import Shot
from lerenet.inference.regions import MaskRule, read_map
from lerenet.inference.segmenter import SegmentationJob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask
    from lerenet.inference.segmenter import Segmenter
    from lerenet.support import Parameters, StoredClass

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Side:
    """A class under one weights file.

    Attributes:
        loo_iou: IoU of the masks as served, each shot segmented by the others, pooled over the shots.
        threshold: The threshold that registration suggests.
        alarm_area: Share of the pixels of the normals that is marked, each segmented without itself; None without any.
        masks: Mask of each shot, then of each normal; (H, W) uint8 in {0, 1}.
    """

    loo_iou: float
    threshold: float
    alarm_area: float | None
    masks: tuple[Mask, ...]


@dataclass(frozen=True, eq=False)
class ClassSwitch:
    """A class under both.

    Attributes:
        name: The class.
        n_shots: Its shots.
        n_normals: Its defect-free images.
        is_turned: Its only shot was segmented from itself, turned by half: nothing else could be held against it, and
            the IoU is higher than on other images.
        before: Under the first weights.
        after: Under the second.
        changed: Share of the pixels of shots and normals whose mask differs.
        sheet: Both masks beside each image.
    """

    name: str
    n_shots: int
    n_normals: int
    is_turned: bool
    before: Side
    after: Side
    changed: float
    sheet: ClassSheet


def compare_class(stored: StoredClass, before: Segmenter, after: Segmenter, titles: tuple[str, str]) -> ClassSwitch:
    """Segments the images of a class under two weights files, none with an encoding that has seen it.

    Args:
        stored: The class.
        before: With the first weights.
        after: With the second.
        titles: What both are called on the sheet.
    """
    record, shots, normals = stored.record, stored.material.shots, stored.material.normals
    queries = _queries(shots)
    sides = [_side(segmenter, shots, normals, record.parameters) for segmenter in (before, after)]
    blank = [Shot(normal, np.zeros(normal.shape[:2], np.uint8)) for normal in normals]
    rows = [
        SheetRow(shrink_shot(shot), _columns(titles, [shrink_mask(side.masks[place]) for side in sides]))
        for place, shot in enumerate((*queries, *blank))
    ]
    return ClassSwitch(
        name=record.name,
        n_shots=len(shots),
        n_normals=len(normals),
        is_turned=len(shots) == 1,
        before=sides[0],
        after=sides[1],
        changed=_changed(sides[0].masks, sides[1].masks),
        sheet=ClassSheet(record.name, tuple(shrink_shot(shot) for shot in shots), tuple(rows)),
    )


def write_sheets(switches: Sequence[ClassSwitch], folder: Path) -> None:
    """Writes `<class>.png` for each class into a folder, which is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for switch in switches:
        (folder / f"{switch.name}.png").write_bytes(encode_image_png(render_sheet(switch.sheet)))


def _queries(shots: Sequence[Shot]) -> tuple[Shot, ...]:
    """The shots; an only one turned by half, so that no pixel stands where the encoding saw it."""
    if len(shots) > 1:
        return tuple(shots)
    return tuple(Shot(shot.image[::-1, ::-1].copy(), shot.mask[::-1, ::-1].copy()) for shot in shots)


def _side(segmenter: Segmenter, shots: Sequence[Shot], normals: Sequence[Image], parameters: Parameters) -> Side:
    assessed = segmenter.assess(shots, normals, segmenter.encode(shots, normals))
    threshold = assessed.threshold if parameters.threshold is None else parameters.threshold
    min_score = assessed.min_score if parameters.min_score is None else parameters.min_score

    def segment(image: Image, support: Sequence[Shot], background: Sequence[Image]) -> Mask:
        encoding = segmenter.encode(support, background)
        [[q]] = segmenter.segment([SegmentationJob(image, (encoding,))])
        rule = MaskRule(threshold, parameters.min_area_px, min_score, assessed.confidence, encoding.scale)
        return read_map(q, rule).mask

    queries = _queries(shots)
    masks = [segment(query.image, _without(shots, place), normals) for place, query in enumerate(queries)]
    alarms = [segment(normal, shots, _without(normals, place, 0)) for place, normal in enumerate(normals)]
    counts = sum((overlap(mask, query.mask) for mask, query in zip(masks, queries, strict=True)), OverlapCounts())
    return Side(counts.iou, assessed.threshold, _marked(alarms), (*masks, *alarms))


def _without(items: Sequence[Item], place: int, least: int = 1) -> list[Item]:
    """All but one, unless fewer than `least` would be left."""
    return [*items[:place], *items[place + 1 :]] if len(items) > least else list(items)


def _marked(masks: Sequence[Mask]) -> float | None:
    if not masks:
        return None
    return math.fsum(float(mask.sum(dtype=np.int64)) for mask in masks) / sum(mask.size for mask in masks)


def _changed(before: Sequence[Mask], after: Sequence[Mask]) -> float:
    differing = sum(int(np.count_nonzero(a != b)) for a, b in zip(before, after, strict=True))
    return differing / sum(mask.size for mask in before)


def _columns(titles: tuple[str, str], masks: Sequence[Mask]) -> Mapping[str, Mask]:
    return dict(zip(titles, masks, strict=True))
