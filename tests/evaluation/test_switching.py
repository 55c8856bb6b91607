from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from folders import write_registry
from lerenet.evaluation.switching import ClassSwitch, compare_class, write_sheets
from lerenet.imaging import Image, Shot
from lerenet.inference.assessment import Assessment
from lerenet.inference.encodings import ClassEncoding
from lerenet.inference.segmenter import SegmentationJob, Segmenter
from lerenet.support import StoredClass, read_stored_classes


class _Bright:
    """Finds what is brighter than a level; remembers what each encoding has seen."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.seen: list[tuple[list[bytes], list[bytes], bytes]] = []

    def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        return Assessment(threshold=0.4 if self.level > 150 else 0.6)

    def encode(self, shots: Sequence[Shot], normals: Sequence[Image]) -> Any:
        return SimpleNamespace(
            scale=1.0, shots=[s.image.tobytes() for s in shots], normals=[n.tobytes() for n in normals]
        )

    def segment(self, jobs: Sequence[SegmentationJob]) -> list[list[NDArray[np.uint8]]]:
        [job] = jobs
        encoding = cast(Any, job.classes[0])
        self.seen.append((encoding.shots, encoding.normals, job.image.tobytes()))
        return [[np.where(job.image > self.level, 255, 1).astype(np.uint8)]]


def _compare(root: Path, n_shots: int, n_normals: int) -> tuple[ClassSwitch, _Bright, StoredClass]:
    write_registry(root, {"bars": n_shots}, n_normals)
    [stored] = read_stored_classes(root)
    before, after = _Bright(95), _Bright(180)
    switch = compare_class(stored, cast(Segmenter, before), cast(Segmenter, after), ("A", "B"))
    return switch, after, stored


def test_class_is_measured_under_both(tmp_path: Path) -> None:
    switch, _, _ = _compare(tmp_path / "data", 3, 2)
    assert (switch.name, switch.n_shots, switch.n_normals, switch.is_turned) == ("bars", 3, 2, False)
    assert switch.before.loo_iou < 0.2
    assert switch.after.loo_iou == 1.0
    assert (switch.before.threshold, switch.after.threshold) == (0.6, 0.4)
    assert switch.before.alarm_area == pytest.approx(0.7, abs=0.05)
    assert switch.after.alarm_area == 0.0
    assert switch.changed == pytest.approx(0.7, abs=0.05)


def test_no_image_is_segmented_by_an_encoding_that_has_seen_it(tmp_path: Path) -> None:
    _, after, _ = _compare(tmp_path / "data", 3, 2)
    assert len(after.seen) == 5
    for shots, normals, image in after.seen:
        assert image not in shots
        assert image not in normals
    assert [len(shots) for shots, _, _ in after.seen] == [2, 2, 2, 3, 3]


def test_only_shot_is_turned_and_said_to_be(tmp_path: Path) -> None:
    switch, after, stored = _compare(tmp_path / "data", 1, 0)
    assert switch.is_turned
    assert switch.after.loo_iou == 1.0
    assert switch.after.alarm_area is None
    [(shots, _, image)] = after.seen
    assert shots == [stored.material.shots[0].image.tobytes()]
    assert image == stored.material.shots[0].image[::-1, ::-1].tobytes()


def test_sheet_shows_every_image_under_both(tmp_path: Path) -> None:
    switch, _, _ = _compare(tmp_path / "data", 3, 2)
    assert [list(row.predictions) for row in switch.sheet.rows] == [["A", "B"]] * 5
    write_sheets([switch], tmp_path / "sheets")
    assert (tmp_path / "sheets" / "bars.png").read_bytes().startswith(b"\x89PNG")
