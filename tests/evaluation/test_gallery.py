"""The gallery of failures: which answers it shows, and how they are made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lerenet.evaluation.gallery import GalleryCase, answer_plates, gallery_plates, render_gallery
from lerenet.evaluation.sheets import GAP_PX, MISS
from lerenet.imaging import Shot
from lerenet.inference.segmenter import Segmenter
from lerenet.network import load_weights

CPU = torch.device("cpu")
SIDE = 64


def case(iou: float) -> GalleryCase:
    grey, mask = np.full((SIDE, SIDE), round(255 * iou), np.uint8), np.zeros((SIDE, SIDE), np.uint8)
    mask[30:50] = 1
    return GalleryCase(Shot(grey, mask), Shot(grey, mask), np.zeros_like(mask), iou)


def test_worst_answers_come_first() -> None:
    page = render_gallery([case(0.9), case(0.1), case(0.5), case(0.3)], n_shown=3)
    step = SIDE + GAP_PX
    queries = [
        page[GAP_PX + row * step + 5, GAP_PX + (1 + 3 * column) * step + 5, 0]
        for row, column in ((0, 0), (0, 1), (1, 0))
    ]
    assert [value / 255 for value in queries] == pytest.approx([0.1, 0.3, 0.5], abs=0.01)


def test_what_was_missed_is_drawn_as_missed() -> None:
    page = render_gallery([case(0.1)], n_shown=1)
    assert tuple(page[GAP_PX + 30, GAP_PX + 2 * (SIDE + GAP_PX)]) == MISS


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="no case"):
        render_gallery([], n_shown=3)


def test_answers_are_of_plates_that_are_no_shots(tiny_weights: Path) -> None:
    segmenter = Segmenter(load_weights(tiny_weights, CPU).eval(), CPU)
    cases = answer_plates(segmenter, gallery_plates(2, 2, SIDE, CPU), 2, 2)
    assert 2 <= len(cases) <= 6
    for each in cases:
        assert each.shot.mask.any()
        assert each.mask.shape == each.query.mask.shape == (SIDE, SIDE)
        assert not np.array_equal(each.shot.image, each.query.image)
        assert 0 <= each.iou <= 1
