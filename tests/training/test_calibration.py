from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from builders import tiny_network
from lerenet.inference.confidence import PLAIN
from lerenet.training import calibration
from lerenet.training.calibration import calibrate, calibration_plates

CPU = torch.device("cpu")


class Squares:
    """Episodes of one image: a square of 100 pixels, marked in two of every five episodes of each number of shots."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        masks = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
        if index % 10 < 4:
            masks[..., 8:18, 8:18] = 1
        return torch.zeros(1, 1, 3, 32, 32, dtype=torch.uint8), masks


@pytest.fixture
def _sure_of_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that finds a square in every image, with a probability of 0.95."""

    def segment(_network: object, _images: Tensor, masks: Tensor, *_: object) -> tuple[Tensor, Tensor]:
        logits = torch.full((1, 2, 32, 32), 0.0)
        logits[:, 1] = -20.0
        logits[:, 1, 8:18, 8:18] = 2.944
        return logits, masks.flatten(0, 1)

    monkeypatch.setattr(calibration, "episode_logits", segment)


@pytest.mark.usefixtures("_sure_of_squares")
def test_score_becomes_the_share_of_such_regions_that_is_right() -> None:
    found = calibrate(tiny_network(), Squares(), 20, CPU)
    score = found.confidence.scores(np.array([0.95]), np.array([100.0]))[0]
    assert score == pytest.approx(0.4, abs=0.01)


@pytest.mark.usefixtures("_sure_of_squares")
def test_fit_is_judged_on_episodes_that_took_no_part() -> None:
    found = calibrate(tiny_network(), Squares(), 20, CPU)
    assert sum(found.plain.n_regions) == sum(found.fitted.n_regions) == 10 * len(calibration.THRESHOLDS)
    assert found.plain.error == pytest.approx(0.55, abs=0.01)
    assert found.fitted.error == pytest.approx(0.0, abs=0.01)


def test_calibration_is_the_same_each_time() -> None:
    torch.manual_seed(0)
    network = tiny_network()
    with torch.no_grad():
        network.get_submodule("ifm.classify").get_parameter("weight").mul_(40.0)  # or nothing would be marked
    plates = calibration_plates(64, 4, CPU)
    first, second = (calibrate(network, plates, 4, CPU) for _ in range(2))
    assert first.confidence == second.confidence != PLAIN


def test_calibration_needs_episodes_to_hold_out() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        calibrate(tiny_network(), Squares(), 1, CPU)
