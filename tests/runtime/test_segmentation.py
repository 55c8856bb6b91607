from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from fakes import LevelSegmenter, engine_with
from lerenet.errors import MalformedRequest
from lerenet.imaging import Image, ImageLimits, Shot, encode_image_png
from lerenet.inference.encodings import ClassEncoding
from lerenet.observability import Metrics
from lerenet.runtime import Finding, SegmentationQuery, SegmentedFrame
from lerenet.runtime.device_maps import DeviceMaps
from lerenet.runtime.device_queue import DeviceQueue
from lerenet.runtime.findings import read_finding, sought_class
from lerenet.runtime.pools import ThreadPool
from lerenet.runtime.segmentation import Segmentation
from lerenet.settings import Settings
from lerenet.support import ResolvedClass
from lerenet.support.records import Parameters, new_class

LEVELS = (40, 120, 200)
Rendered = TypeVar("Rendered")


@pytest.fixture
def segmenter() -> LevelSegmenter:
    return LevelSegmenter()


@pytest.fixture
def queue(settings: Settings, segmenter: LevelSegmenter) -> Iterator[DeviceQueue]:
    queue = DeviceQueue(engine_with(segmenter)(settings), settings, Metrics(), lambda error: None)
    yield queue
    queue.close(1.0)


def stripes() -> Image:
    """Three stripes of 10 rows, one per level."""
    return np.repeat(np.array(LEVELS, np.uint8), 10)[:, None].repeat(16, axis=1)


def resolved(level: int) -> ResolvedClass[ClassEncoding]:
    image = np.full((4, 4), level, np.uint8)
    record = new_class(f"level{level}", (), (), Parameters())
    return ResolvedClass(record, LevelSegmenter().encode_unfitted([Shot(image, np.ones_like(image))]), 0.5)


async def run(
    queue: DeviceQueue,
    query: SegmentationQuery,
    render: Callable[[Finding], Rendered],
    *,
    max_map_pixels: int = 1 << 30,
) -> list[SegmentedFrame[Rendered]]:
    decoders, encoders = ThreadPool("decode", 1), ThreadPool("encode", 2)
    pipeline, classes = Segmentation(query, decoders=decoders, encoders=encoders), [resolved(level) for level in LEVELS]
    try:
        images = await pipeline.decode([encode_image_png(stripes())], ImageLimits())
        coming = DeviceMaps(
            queue, images, classes, query, deadline=time.monotonic() + 30, max_map_pixels=max_map_pixels
        )
        return await pipeline.render([(30, 16)], coming, render)
    finally:
        decoders.close()
        encoders.close()


def as_it_is(finding: Finding) -> Finding:
    return finding


async def test_every_class_has_its_finding_in_order(queue: DeviceQueue) -> None:
    [frame] = await run(queue, SegmentationQuery(), as_it_is)

    assert (frame.height, frame.width) == (30, 16)
    assert [finding.name for finding in frame.classes] == [f"level{level}" for level in LEVELS]
    assert [finding.place for finding in frame.classes] == [0, 1, 2]
    assert [finding.segmented.bbox for finding in frame.classes] == [(0, 10 * i, 16, 10) for i in range(3)]


async def test_classes_whose_maps_would_fill_the_memory_go_in_several_jobs(
    queue: DeviceQueue, segmenter: LevelSegmenter
) -> None:
    [whole] = await run(queue, SegmentationQuery(), as_it_is)
    n_whole = segmenter.n_segmented
    [parted] = await run(queue, SegmentationQuery(), as_it_is, max_map_pixels=2 * 30 * 16)

    assert (n_whole, segmenter.n_segmented - n_whole) == (1, 2)
    for one, other in zip(whole.classes, parted.classes, strict=True):
        assert (one.name, one.segmented.score) == (other.name, other.segmented.score)
        assert np.array_equal(one.q, other.q)


def test_finding_follows_the_least_score_of_the_class_unless_the_request_has_its_own() -> None:
    q = np.zeros((20, 20), np.uint8)
    q[5:9, 5:9] = 204  # 16 px of p = 0.8, of which 4 are left at half the scale
    record = new_class("pits", (), (), Parameters())
    encoding = ClassEncoding(0.5, LevelSegmenter().encode_unfitted([Shot(q, np.ones_like(q))]).encoding)
    unsure = ResolvedClass(record, encoding, 0.5, min_score=0.6, confidence=(-2.0, 1.0, 0.0))
    sure_of_area = replace(unsure, confidence=(-2.0, 1.0, 1.5))

    def area_px(each: ResolvedClass[ClassEncoding], query: SegmentationQuery) -> int:
        return read_finding(q, q.shape, 0, sought_class(each, query), None).segmented.area_px

    assert area_px(unsure, SegmentationQuery()) == 0
    assert area_px(unsure, SegmentationQuery(min_score=0.3)) == 16
    finding = read_finding(q, q.shape, 0, sought_class(sure_of_area, SegmentationQuery()), None)
    assert (finding.segmented.area_px, finding.min_score) == (16, 0.6)
    assert finding.segmented.score == pytest.approx(1 / (1 + np.exp(2.0 - np.log(4.0) - 1.5 * np.log(4.0))))


async def test_outside_of_a_region_of_interest_nothing_is_marked_at_any_threshold(queue: DeviceQueue) -> None:
    [frame] = await run(queue, SegmentationQuery(threshold=0.0, roi=(2, 5, 3, 4)), as_it_is)

    for finding in frame.classes:
        assert finding.segmented.area_px == finding.segmented.mask.sum() == 12
        assert finding.segmented.bbox == (2, 5, 3, 4)
        assert finding.segmented.mask[5:9, 2:5].all()
        assert finding.segmented.mask.shape == finding.q.shape == (30, 16)


async def test_a_region_of_interest_beyond_the_image_is_refused(queue: DeviceQueue) -> None:
    with pytest.raises(MalformedRequest, match="30 x 16"):
        await run(queue, SegmentationQuery(roi=(0, 0, 16, 31)), as_it_is)


async def test_maps_are_let_go_once_they_are_rendered(queue: DeviceQueue) -> None:
    maps: list[weakref.ref[Image]] = []
    n_alive: list[int] = []

    def render(finding: Finding) -> None:
        n_alive.append(sum(each() is not None for each in maps))
        maps.append(weakref.ref(finding.q))

    await run(queue, SegmentationQuery(), render, max_map_pixels=30 * 16)

    assert max(n_alive) <= 1  # a thread may be about to drop the one before
