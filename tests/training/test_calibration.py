from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from builders import tiny_network
from lerenet.imaging import Image, Shot
from lerenet.inference.confidence import PLAIN
from lerenet.inference.encodings import ClassEncoding
from lerenet.inference.segmenter import SegmentationJob, Segmenter
from lerenet.network import SupportEncoding
from lerenet.synthetic.sheet import split_episode
from lerenet.training import calibration
from lerenet.training.calibration import calibrate, calibration_plates

CPU = torch.device("cpu")
N_MARKED = 6


class Squares:
    """Episodes in which half of the queries, whatever the number of shots, show a marked square of 100 pixels."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        n_shots = 1 + index % calibration.MAX_SHOTS
        masks = torch.zeros(1, 2 * N_MARKED - n_shots, 32, 32, dtype=torch.uint8)
        masks[:, :N_MARKED, 8:18, 8:18] = 1
        return torch.zeros(1, masks.shape[1], 3, 32, 32, dtype=torch.uint8), masks


class SureOfSquares(Segmenter):
    """Finds a square in every image, with a probability of 0.95."""

    def __init__(self) -> None:
        super().__init__(tiny_network(), CPU)

    def encode(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> ClassEncoding:
        return ClassEncoding(1.0, SupportEncoding({}))

    def segment(self, jobs: Sequence[SegmentationJob]) -> list[list[NDArray[np.uint8]]]:
        q = np.zeros((32, 32), np.uint8)
        q[8:18, 8:18] = 242
        return [[q] for _ in jobs]


def test_score_becomes_the_share_of_such_regions_that_is_right() -> None:
    found = calibrate(SureOfSquares(), Squares(), 20)
    score = found.confidence.scores(np.array([0.95]), np.array([100.0]))[0]
    assert score == pytest.approx(0.5, abs=0.01)


def test_fit_is_judged_on_episodes_that_took_no_part() -> None:
    found = calibrate(SureOfSquares(), Squares(), 20)
    n_queries = sum(2 * (N_MARKED - 1 - index % calibration.MAX_SHOTS) for index in range(1, 20, 2))
    assert sum(found.plain.n_regions) == sum(found.fitted.n_regions) == n_queries * len(calibration.THRESHOLDS)
    assert found.plain.error == pytest.approx(0.45, abs=0.01)
    assert found.fitted.error == pytest.approx(0.0, abs=0.01)


def test_calibration_is_the_same_each_time() -> None:
    network = tiny_network()
    with torch.no_grad():
        network.get_submodule("ifm.classify").get_parameter("weight").mul_(40.0)  # or nothing would be marked
    segmenter, plates = Segmenter(network, CPU), calibration_plates(64, 4, CPU)
    first, second = (calibrate(segmenter, plates, 4) for _ in range(2))
    assert first.confidence == second.confidence != PLAIN


def test_calibration_needs_episodes_to_hold_out() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        calibrate(SureOfSquares(), Squares(), 1)


@pytest.mark.parametrize(("n_shots", "expected"), [(1, 1), (2, 2), (5, 2)])
def test_an_episode_keeps_a_marked_plate_to_ask(n_shots: int, expected: int) -> None:
    image, clear, marked = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    plates = [Shot(image, mask) for mask in (marked, clear, marked, marked)]
    shots, queries = split_episode(plates, n_shots)
    assert len(shots) == expected
    assert len(queries) == 4 - expected
    assert any(query.mask.any() for query in queries)
