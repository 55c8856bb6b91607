from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lerenet.network.build import build_lerenet
from lerenet.network.config import tiny
from lerenet.network.lerenet import LERENet
from lerenet.training import validation
from lerenet.training.config import TrainingConfig
from lerenet.training.validation import HeldOutPlates

_CPU = torch.device("cpu")
_CONFIG = TrainingConfig(network="tiny", precision="float32", validation_episodes=2, validation_images=3)
Answer = Callable[[Tensor], Tensor]


class _Squares:
    """Episodes of two images with a defect in the upper half and one without."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        masks = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
        masks[:, :2, :16] = 1
        return (masks[:, :, None] * 200).expand(1, 3, 3, 32, 32), masks


def _report(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> validation.ValidationReport:
    """A validation of a network that answers with what is computed from the true masks."""

    def segment(_network: object, _images: Tensor, masks: Tensor, *_: object) -> tuple[Tensor, Tensor]:
        marked = answer(masks.flatten(0, 1)).float()
        return torch.stack([1 - marked, marked], dim=1), masks.flatten(0, 1)

    monkeypatch.setattr(validation, "episode_logits", segment)
    return HeldOutPlates(_Squares(), _CONFIG).validate(_network(), _CPU)


def _network() -> LERENet:
    torch.manual_seed(0)
    return build_lerenet(tiny()).eval()


def test_validation_is_perfect_when_the_masks_are(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _report(monkeypatch, lambda masks: masks)
    assert (report.iou_one_shot, report.iou_several_shots, report.iou, report.false_alarm_rate) == (1, 1, 1, 0)


def test_validation_counts_marks_on_defect_free_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _report(monkeypatch, torch.ones_like)
    # Two upper halves of three whole images.
    assert report.iou == pytest.approx(1 / 3)
    assert report.false_alarm_rate == 1


def test_validation_is_zero_when_nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    report = _report(monkeypatch, torch.zeros_like)
    assert (report.iou, report.false_alarm_rate) == (0, 0)


def test_validation_repeats_itself() -> None:
    plates, network = HeldOutPlates(_Squares(), _CONFIG), _network()
    assert plates.validate(network, _CPU) == plates.validate(network, _CPU)
