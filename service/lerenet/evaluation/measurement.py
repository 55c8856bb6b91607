"""One method on one class: every image is segmented once, with the encodings of all draws and shots that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lerenet.evaluation.metrics import AlarmCounts, Tally
from lerenet.evaluation.reading import read_shot
from lerenet.imaging.masks import mask_from_probability
from lerenet.imaging.overlap import overlap
from lerenet.inference.segmenter import SegmentationJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from lerenet.evaluation.folder import LabelledImage
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

    def assess(self, shots: Sequence[Shot], normals: Sequence[Image]) -> Assessment:
        """Suggests a threshold from the support set alone."""

    def segment(self, jobs: Sequence[SegmentationJob]) -> Sequence[Sequence[NDArray[np.uint8]]]:
        """(H, W) uint8 probability map of each class of each job."""


@dataclass(frozen=True, eq=False)
class SupportSet:
    """An encoded support set.

    Attributes:
        draw: The draw it is of.
        n_shots: Its number of shots.
        threshold: Threshold of its masks.
        encoding: What the segmenter made of it.
    """

    draw: SupportDraw
    n_shots: int
    threshold: float
    encoding: ClassEncoding


@dataclass(frozen=True, eq=False)
class Answer:
    """One image as segmented with one support set.

    Attributes:
        image: Which image.
        truth: Its pixels and true mask, which is empty for a defect-free image.
        support_set: What it was segmented with.
        mask: (H, W) uint8 in {0, 1}.
    """

    image: LabelledImage
    truth: Shot
    support_set: SupportSet
    mask: Mask


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
                mask = mask_from_probability(probability, support_set.threshold)
                yield Answer(request.image, request.truth, support_set, mask)
        on_images(len(batch))


def add_answer(tally: Tally, answer: Answer) -> Tally:
    """The tally with one more answer counted: as a query, or as a defect-free image when it has no mask on disk."""
    if answer.image.mask_path is not None:
        counts = overlap(answer.mask, answer.truth.mask)
        return replace(tally, n_queries=tally.n_queries + 1, overlap=tally.overlap + counts)
    marked_px = int(np.count_nonzero(answer.mask))
    return replace(tally, alarms=tally.alarms + AlarmCounts(1, int(marked_px > 0), answer.mask.size, marked_px))


def _encode_draw(segmenter: ShotSegmenter, draw: SupportDraw, config: EvaluationConfig) -> Iterator[SupportSet]:
    shots = [read_shot(image, config.label_rule, config.limits) for image in draw.support]
    for n_shots in config.shots:
        chosen = shots[:n_shots]
        threshold = segmenter.assess(chosen, ()).threshold if config.threshold == "suggested" else config.threshold
        yield SupportSet(draw, n_shots, threshold, segmenter.encode(chosen, ()))


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
