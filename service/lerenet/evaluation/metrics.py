"""Figures from counted pixels. Counts are pooled over images before a ratio is taken; spread is over seeds or draws.

Source: the protocol of the few-shot segmentation literature (class IoU = summed intersection over summed union; mIoU =
its mean over classes; FB-IoU = mean of pooled foreground and background IoU over all queries). We differ: defect-free
images are measured as well, and every figure comes with its spread over seeds and support draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lerenet.imaging.overlap import OverlapCounts
from lerenet.inference.reliability import ScoreBins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class AlarmCounts:
    """Masks on defect-free images.

    Attributes:
        n_images: Defect-free images segmented.
        n_alarms: Those whose mask was not empty.
        n_large: Those with a region of more than `ALARM_PX` pixels.
        n_pixels: Pixels of all of them.
        alarm_px: Pixels marked in them.
    """

    n_images: int = 0
    n_alarms: int = 0
    n_pixels: int = 0
    alarm_px: int = 0
    n_large: int = 0

    def __add__(self, other: AlarmCounts) -> AlarmCounts:
        return AlarmCounts(
            self.n_images + other.n_images,
            self.n_alarms + other.n_alarms,
            self.n_pixels + other.n_pixels,
            self.alarm_px + other.alarm_px,
            self.n_large + other.n_large,
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """What one method did with one support set.

    Attributes:
        class_name: The class.
        seed: Seed of the draw.
        draw: Number of the draw within the seed.
        n_shots: Support images used.
        threshold: Threshold of the masks.
        n_queries: Query images segmented.
        overlap: Their pixels by prediction and truth.
        alarms: What was marked on defect-free images.
        min_score: Least score of a region in the masks.
        reliability: All regions above the threshold, in queries and defect-free images, also those of a lower score.
    """

    class_name: str
    seed: int
    draw: int
    n_shots: int
    threshold: float
    n_queries: int = 0
    overlap: OverlapCounts = field(default_factory=OverlapCounts)
    alarms: AlarmCounts = field(default_factory=AlarmCounts)
    min_score: float = 0.0
    reliability: ScoreBins = field(default_factory=ScoreBins)

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Tally:
        """Back from `dataclasses.asdict`, also by way of JSON."""
        bins = {name: tuple(values) for name, values in document["reliability"].items()}
        nested = {
            "overlap": OverlapCounts(**document["overlap"]),
            "alarms": AlarmCounts(**document["alarms"]),
            "reliability": ScoreBins(**bins),
        }
        return Tally(**(dict(document) | nested))


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation (divisor n - 1); `sd` is None for a single value.

    Attributes:
        mean: Mean of the values.
        sd: Their standard deviation.
    """

    mean: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one class, or of all classes together.

    Attributes:
        iou: Pooled class IoU over seeds; of several classes the mean over them (mIoU).
        iou_over_draws: The same, each support draw by itself.
        fb_iou: Mean of pooled foreground and background IoU over seeds.
        false_alarm_rate: Share of defect-free images with a mask that is not empty, over seeds; of several classes the
            mean over those that have such images. None without any.
        false_alarm_area: Share of the pixels of defect-free images that are marked, likewise.
        large_alarm_rate: Share of defect-free images with a region of more than `ALARM_PX` pixels, likewise.
        calibration_error: Expected calibration error of the region scores, 0 to 1; None where nothing was marked.
    """

    iou: Spread
    iou_over_draws: Spread
    fb_iou: Spread
    false_alarm_rate: Spread | None
    false_alarm_area: Spread | None
    large_alarm_rate: Spread | None
    calibration_error: float | None


def spread(values: Sequence[float]) -> Spread:
    """Mean and standard deviation of at least one value."""
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Spread(mean, None)
    return Spread(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)))


def measure(tallies: Sequence[Tally]) -> Figures:
    """Figures over every class, seed and draw of the tallies, which are of one method and one number of shots."""
    return Figures(
        iou=spread([_mean_over_classes(part, _iou) for part in _by_seed(tallies)]),
        iou_over_draws=spread([_mean_over_classes(part, _iou) for part in _by_draw(tallies)]),
        fb_iou=spread([_fb_iou(part) for part in _by_seed(tallies)]),
        false_alarm_rate=_alarm_spread(tallies, lambda alarms: alarms.n_alarms / alarms.n_images),
        false_alarm_area=_alarm_spread(tallies, lambda alarms: alarms.alarm_px / alarms.n_pixels),
        large_alarm_rate=_alarm_spread(tallies, lambda alarms: alarms.n_large / alarms.n_images),
        calibration_error=pooled_reliability(tallies).error,
    )


def pooled_reliability(tallies: Iterable[Tally]) -> ScoreBins:
    """All judged regions together."""
    return sum((tally.reliability for tally in tallies), ScoreBins())


def _iou(tallies: Sequence[Tally]) -> float:
    return _pooled(tallies).iou


def _fb_iou(tallies: Sequence[Tally]) -> float:
    pooled = _pooled(tallies)
    return (pooled.iou + pooled.background_iou) / 2


def _pooled(tallies: Iterable[Tally]) -> OverlapCounts:
    return sum((tally.overlap for tally in tallies), OverlapCounts())


def _alarm_spread(tallies: Sequence[Tally], ratio: Callable[[AlarmCounts], float]) -> Spread | None:
    def of_class(part: Sequence[Tally]) -> float:
        return ratio(sum((tally.alarms for tally in part), AlarmCounts()))

    asked = [tally for tally in tallies if tally.alarms.n_images]
    return spread([_mean_over_classes(part, of_class) for part in _by_seed(asked)]) if asked else None


def _mean_over_classes(tallies: Sequence[Tally], figure: Callable[[Sequence[Tally]], float]) -> float:
    classes = _grouped(tallies, lambda tally: tally.class_name)
    return math.fsum(figure(part) for part in classes) / len(classes)


def _by_seed(tallies: Sequence[Tally]) -> list[list[Tally]]:
    return _grouped(tallies, lambda tally: tally.seed)


def _by_draw(tallies: Sequence[Tally]) -> list[list[Tally]]:
    return _grouped(tallies, lambda tally: (tally.seed, tally.draw))


def _grouped(tallies: Iterable[Tally], key: Callable[[Tally], object]) -> list[list[Tally]]:
    groups: dict[object, list[Tally]] = {}
    for tally in tallies:
        groups.setdefault(key(tally), []).append(tally)
    return list(groups.values())
