from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from builders import tiny_network
from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.errors import DatasetError
from lerenet.evaluation.evaluate import Step, evaluate
from lerenet.evaluation.methods import Method, standard_methods
from lerenet.evaluation.metrics import Spread
from lerenet.evaluation.protocol import EvaluationConfig
from lerenet.imaging import Image, Shot, encode_image_png
from lerenet.inference.assessment import Assessment
from lerenet.inference.encodings import ClassEncoding
from lerenet.inference.segmenter import SegmentationJob
from lerenet.network import SupportEncoding

CONFIG = EvaluationConfig(shots=(1, 3), n_seeds=2, n_draws=2)
BAR_GREY, BAR_PX = 220, 120


class BrightSegmenter:
    """Marks what is at least as bright as the darkest marked pixel of the support; it remembers what it was asked."""

    def __init__(self, threshold: float = 0.5, min_score: float = 0.0) -> None:
        self.threshold = threshold
        self.min_score = min_score
        self.n_normals: set[int] = set()
        self.supports: list[list[bytes]] = []
        self.segmented: list[bytes] = []

    def encode(self, shots: Sequence[Shot], normals: Sequence[Image]) -> ClassEncoding:
        self.n_normals.add(len(normals))
        self.supports.append([shot.image.tobytes() for shot in shots])
        level = min(int(shot.image[shot.mask == 1].min()) for shot in shots)
        return ClassEncoding(1.0, SupportEncoding({"level": torch.tensor([level])}))

    def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        return Assessment(self.threshold, min_score=self.min_score)

    def segment(self, jobs: Sequence[SegmentationJob]) -> list[list[NDArray[np.uint8]]]:
        self.segmented += [job.image.tobytes() for job in jobs]
        return [[self._map(job.image, each) for each in job.classes] for job in jobs]

    def _map(self, image: Image, encoding: ClassEncoding) -> NDArray[np.uint8]:
        level = int(encoding.encoding.tensors["level"])
        return np.where(image >= level, 200, 100).astype(np.uint8)


class EverythingSegmenter(BrightSegmenter):
    """Marks every pixel."""

    def _map(self, image: Image, encoding: ClassEncoding) -> NDArray[np.uint8]:
        return np.full(image.shape, 255, dtype=np.uint8)


@pytest.fixture
def classes(plates: Path) -> tuple[DefectClass, ...]:
    return open_folder(plates)


def test_perfect_method_scores_one_without_false_alarms(classes: tuple[DefectClass, ...]) -> None:
    figures = evaluate([Method("bright", BrightSegmenter())], classes, CONFIG).figures("bright", 3)
    assert figures.iou == Spread(1.0, 0.0)
    assert figures.fb_iou == Spread(1.0, 0.0)
    assert figures.false_alarm_rate == Spread(0.0, 0.0)


def test_method_that_marks_everything_scores_the_share_of_the_defect(classes: tuple[DefectClass, ...]) -> None:
    figures = evaluate([Method("all", EverythingSegmenter())], classes, CONFIG).figures("all", 1)
    assert figures.iou.mean == pytest.approx(BAR_PX / 64**2)
    assert figures.fb_iou.mean == pytest.approx(BAR_PX / 64**2 / 2)
    assert figures.false_alarm_rate == Spread(1.0, 0.0)
    assert figures.false_alarm_area == Spread(1.0, 0.0)
    assert figures.large_alarm_rate == Spread(1.0, 0.0)


def test_every_image_is_segmented_once_a_method(classes: tuple[DefectClass, ...]) -> None:
    segmenter = BrightSegmenter()
    evaluate([Method("bright", segmenter)], classes[:1], CONFIG)
    assert set(Counter(segmenter.segmented).values()) == {1}


def test_every_method_gets_the_same_supports(classes: tuple[DefectClass, ...]) -> None:
    first, second = BrightSegmenter(), EverythingSegmenter()
    evaluate([Method("a", first), Method("b", second)], classes, CONFIG)
    assert first.supports == second.supports
    assert len(first.supports) == len(classes) * 2 * 2 * 2


def test_tallies_count_the_same_queries_for_all_shots(classes: tuple[DefectClass, ...]) -> None:
    (result,) = evaluate([Method("bright", BrightSegmenter())], classes, CONFIG).results
    n_queries = {(t.class_name, t.seed, t.draw, t.n_shots): t.n_queries for t in result.tallies}
    for (name, seed, draw, _), count in n_queries.items():
        assert count == n_queries[name, seed, draw, 1] > 0
    assert {t.n_queries for t in result.tallies if t.class_name == "steel/bars"} == {4}


def test_fixed_threshold_cuts_the_maps(classes: tuple[DefectClass, ...]) -> None:
    high = EvaluationConfig(shots=(1,), n_seeds=1, n_draws=1, threshold=0.9)
    assert evaluate([Method("bright", BrightSegmenter())], classes, high).figures("bright", 1).iou.mean == 0


def test_suggested_threshold_is_that_of_the_segmenter(classes: tuple[DefectClass, ...]) -> None:
    suggested = EvaluationConfig(shots=(1,), n_seeds=1, n_draws=1, threshold="suggested")
    (result,) = evaluate([Method("bright", BrightSegmenter(threshold=0.9))], classes, suggested).results
    assert {tally.threshold for tally in result.tallies} == {0.9}
    assert all(tally.overlap.tp == 0 for tally in result.tallies)


def test_suggested_least_score_drops_regions(classes: tuple[DefectClass, ...]) -> None:
    suggested = EvaluationConfig(shots=(1,), n_seeds=1, n_draws=1, threshold="suggested")
    report = evaluate([Method("bright", BrightSegmenter(min_score=0.9))], classes, suggested)  # regions score 200 / 255
    assert {(tally.min_score, tally.overlap.tp) for tally in report.results[0].tallies} == {(0.9, 0)}
    assert report.figures("bright", 1).calibration_error == pytest.approx(1 - 200 / 255)


def test_fixed_threshold_keeps_every_region(classes: tuple[DefectClass, ...]) -> None:
    fixed = EvaluationConfig(shots=(1,), n_seeds=1, n_draws=1)
    assert (
        evaluate([Method("bright", BrightSegmenter(min_score=0.9))], classes, fixed).figures("bright", 1).iou.mean == 1
    )


def test_normals_are_registered_with_every_support_set(classes: tuple[DefectClass, ...]) -> None:
    segmenter = BrightSegmenter()
    cracks = [each for each in classes if each.name == "mt/cracks"]
    evaluate([Method("bright", segmenter)], cracks, EvaluationConfig(shots=(1, 3), n_seeds=1, n_draws=1, n_normals=2))
    assert segmenter.n_normals == {2}


def test_unmarked_image_is_asked_yet_never_supports(classes: tuple[DefectClass, ...]) -> None:
    bars = classes[1]
    mask_path = bars.pairs[0].mask_path
    assert mask_path is not None
    mask_path.write_bytes(encode_image_png(np.zeros((64, 64), dtype=np.uint8)))
    segmenter = BrightSegmenter()
    report = evaluate([Method("bright", segmenter)], [bars], CONFIG)
    assert report.classes[0].n_unmarked == 1
    assert report.figures("bright", 1).iou.mean < 1
    assert all(tally.n_queries == 4 for tally in report.results[0].tallies)


def test_progress_counts_every_image_of_every_method(classes: tuple[DefectClass, ...]) -> None:
    steps: list[Step] = []
    methods = [Method("a", BrightSegmenter()), Method("b", BrightSegmenter())]
    evaluate(methods, classes, CONFIG, steps.append)
    assert [step.n_done for step in steps] == sorted(step.n_done for step in steps)
    assert steps[-1].n_done == steps[-1].n_total
    assert (steps[0].method, steps[-1].method) == ("a", "b")


def test_sheets_show_queries_then_defect_free_images_with_every_prediction(classes: tuple[DefectClass, ...]) -> None:
    methods = [Method("a", BrightSegmenter()), Method("b", EverythingSegmenter())]
    sheet = evaluate(methods, classes[1:], CONFIG).sheets[0]
    assert len(sheet.support) == 3
    assert [row.query.area_px > 0 for row in sheet.rows] == [True] * 4 + [False] * 2
    assert list(sheet.rows[0].predictions) == ["a 1-shot", "a 3-shot", "b 1-shot", "b 3-shot"]
    assert np.array_equal(sheet.rows[0].predictions["a 1-shot"], sheet.rows[0].query.mask)


def test_class_with_too_few_groups_is_told_before_anything_is_segmented(classes: tuple[DefectClass, ...]) -> None:
    segmenter = BrightSegmenter()
    with pytest.raises(DatasetError, match="mt/cracks: 5-shot needs 6 groups"):
        evaluate([Method("bright", segmenter)], classes[::-1], EvaluationConfig(shots=(5,)))
    assert segmenter.segmented == []


def test_network_with_its_baselines_runs_by_the_same_protocol(plates: Path) -> None:
    methods = standard_methods(tiny_network(), torch.device("cpu"))
    config = EvaluationConfig(shots=(1, 2), n_seeds=1, n_draws=1, max_queries=2, threshold="suggested")
    first, again = (evaluate(methods, open_folder(plates), config) for _ in range(2))
    assert [result.tallies for result in first.results] == [result.tallies for result in again.results]
    names = [result.name for result in first.results]
    assert names == ["LERENet", "pooled prototypes", "dense matching", "self-support"]
    assert "torch" in first.conditions
