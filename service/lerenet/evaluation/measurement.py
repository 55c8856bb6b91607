"""One method on one class: every image is segmented once, with the encodings of all draws and shots that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from lerenet.datasets.reading import read_shot
from lerenet.evaluation.metrics import AlarmCounts, Tally
from lerenet.imaging.overlap import overlap
from lerenet.inference.assessment import ALARM_PX
from lerenet.inference.regions import MaskRule, SegmentedClass, mark_regions, read_map
from lerenet.inference.reliability import ScoreBins, judge_regions
from lerenet.inference.segmenter import SegmentationJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from lerenet.datasets.folder import LabelledImage
    from lerenet.evaluation.protocol import EvaluationConfig, SupportDraw
    from lerenet.imaging.images import Image
    from lerenet.imaging.masks import Mask
    from lerenet.imaging.shots import Shot
    from lerenet.inference.assessment import Assessment
    from lerenet.inference.encodings import ClassEncoding

# Bounds on what is held at once: images, and pixels of probability maps (a byte each).
MAX_BATCH_IMAGES = 8
MAX_BATCH_MAP_PX = 1 << 27


class ShotSegmenter(Protocol):
    """What is measured: `lerenet.inference.segmenter.Segmenter` around LERENet or around a baseline."""

    def encode(self, shots: Sequence[Shot], normals: Sequence[Image]) -> ClassEncoding:
        """Encodes a support set."""

    def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        """Suggests a threshold and a least score from the support set alone."""

    def segment(self, jobs: Sequence[SegmentationJob]) -> Sequence[Sequence[NDArray[np.uint8]]]:
        """(H, W) uint8 probability map of each class of each job."""


@dataclass(frozen=True, eq=False)
class SupportSet:
    """An encoded support set.

    Attributes:
        draw: The draw it is of.
        n_shots: Its number of shots.
        rule: What makes its masks.
        encoding: What the segmenter made of it.
    """

    draw: SupportDraw
    n_shots: int
    rule: MaskRule
    encoding: ClassEncoding


@dataclass(frozen=True, eq=False)
class Answer:
    """One image as segmented with one support set.

    Attributes:
        image: Which image.
        truth: Its pixels and true mask, which is empty for a defect-free image.
        support_set: What it was segmented with.
        found: Its mask and regions.
        reliability: Its regions above the threshold, judged by the truth.
    """

    image: LabelledImage
    truth: Shot
    support_set: SupportSet
    found: SegmentedClass
    reliability: ScoreBins

    @property
    def mask(self) -> Mask:
        """(H, W) uint8 in {0, 1}."""
        return self.found.mask


@dataclass(frozen=True, eq=False)
class _Request:
    image: LabelledImage
    truth: Shot
    asking: Sequence[SupportSet]

    @property
    def job(self) -> SegmentationJob:
        return SegmentationJob(self.truth.image, tuple(support_set.encoding for support_set in self.asking))

    @property
    def map_px(self) -> int:
        return self.truth.mask.size * len(self.asking)


def asked_images(draws: Sequence[SupportDraw]) -> tuple[LabelledImage, ...]:
    """Every image that some draw asks for, once."""
    return tuple(dict.fromkeys(image for draw in draws for image in (*draw.queries, *draw.normals)))


def encode_draws(
    segmenter: ShotSegmenter, draws: Sequence[SupportDraw], config: EvaluationConfig
) -> tuple[SupportSet, ...]:
    """Encodes each draw at each number of shots; a support image is read once a draw."""
    return tuple(support_set for draw in draws for support_set in _encode_draw(segmenter, draw, config))


def answer_draws(
    segmenter: ShotSegmenter,
    support_sets: Sequence[SupportSet],
    config: EvaluationConfig,
    on_images: Callable[[int], None],
) -> Iterator[Answer]:
    """Segments every image that is asked for once, with all the support sets that ask for it.

    Args:
        segmenter: What is measured.
        support_sets: Encoded support sets of one class.
        config: What is measured.
        on_images: Told how many more images are done.
    """
    for batch in _batches(_requests(support_sets, config)):
        for request, maps in zip(batch, segmenter.segment([request.job for request in batch]), strict=True):
            for support_set, probability in zip(request.asking, maps, strict=True):
                yield _answer(request, support_set, probability)
        on_images(len(batch))


def _answer(request: _Request, support_set: SupportSet, q: NDArray[np.uint8]) -> Answer:
    rule, truth = support_set.rule, request.truth
    marked = mark_regions(q, rule.threshold)
    scores = rule.scores(marked.means, marked.areas_px.astype(float))
    reliability = ScoreBins.of(scores, judge_regions(marked.hits_px(truth.mask), marked.areas_px))
    return Answer(request.image, truth, support_set, read_map(q, rule), reliability)


def add_answer(tally: Tally, answer: Answer) -> Tally:
    """The tally with one more answer counted: as a query, or as a defect-free image when it has no mask on disk."""
    tally = replace(tally, reliability=tally.reliability + answer.reliability)
    if answer.image.mask_path is not None:
        counts = overlap(answer.mask, answer.truth.mask)
        return replace(tally, n_queries=tally.n_queries + 1, overlap=tally.overlap + counts)
    marked_px, is_large = answer.found.area_px, any(region.area_px > ALARM_PX for region in answer.found.regions)
    counted = AlarmCounts(1, int(marked_px > 0), answer.mask.size, marked_px, int(is_large))
    return replace(tally, alarms=tally.alarms + counted)


def _encode_draw(segmenter: ShotSegmenter, draw: SupportDraw, config: EvaluationConfig) -> Iterator[SupportSet]:
    shots = [read_shot(image, config.label_rule, config.limits) for image in draw.support]
    normals = [read_shot(image, config.label_rule, config.limits).image for image in draw.registered]
    for n_shots in config.shots:
        chosen = shots[:n_shots]
        encoding = segmenter.encode(chosen, normals)
        if config.threshold == "suggested":
            found = segmenter.assess(chosen, normals, encoding)
            rule = MaskRule(found.threshold, 0, found.min_score, found.confidence, encoding.scale)
        else:
            rule = MaskRule(config.threshold, scale=encoding.scale)
        yield SupportSet(draw, n_shots, rule, encoding)


def _requests(support_sets: Sequence[SupportSet], config: EvaluationConfig) -> Iterator[_Request]:
    asking: dict[LabelledImage, list[SupportSet]] = {}
    for support_set in support_sets:
        for image in (*support_set.draw.queries, *support_set.draw.normals):
            asking.setdefault(image, []).append(support_set)
    for image, sets in asking.items():
        yield _Request(image, read_shot(image, config.label_rule, config.limits), sets)


def _batches(requests: Iterator[_Request]) -> Iterator[list[_Request]]:
    batch: list[_Request] = []
    for request in requests:
        held_px = sum(held.map_px for held in batch)
        if batch and (len(batch) == MAX_BATCH_IMAGES or held_px + request.map_px > MAX_BATCH_MAP_PX):
            yield batch
            batch = []
        batch.append(request)
    if batch:
        yield batch
