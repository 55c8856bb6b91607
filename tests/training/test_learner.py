import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from lerenet.errors import ConfigurationError
from lerenet.network.build import build_lerenet
from lerenet.network.config import tiny
from lerenet.training.config import TrainingConfig
from lerenet.training.learner import Learner

_CPU = torch.device("cpu")


def _learner(**changes: Any) -> Learner:
    torch.manual_seed(0)
    config = TrainingConfig(network="tiny", precision="float32", ema_decay=0.9)
    return Learner(build_lerenet(tiny()), replace(config, **changes), _CPU)


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Two episodes of three images with a bright square on noise; the last image of each shows none."""
    random = torch.Generator().manual_seed(1)
    images = torch.randint(60, 120, (2, 3, 3, 48, 48), generator=random, dtype=torch.uint8)
    masks = torch.zeros(2, 3, 48, 48, dtype=torch.uint8)
    for episode in range(2):
        for image in range(2):
            top, left = torch.randint(0, 24, (2,), generator=random).tolist()
            masks[episode, image, top : top + 20, left : left + 20] = 1
    return torch.where(masks[:, :, None] == 1, images + 120, images), masks


def test_learner_overfits_one_batch() -> None:
    learner, (images, masks) = _learner(max_shots=1), _batch()
    losses = [learner.step(images, masks, index, 5e-3).loss for index in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_learner_reports_the_sum_of_its_losses() -> None:
    report = _learner().step(*_batch(), 0, 1e-3)
    assert report.loss == pytest.approx(report.cross_entropy + report.dice)
    assert 0 <= report.iou <= 1
    assert not report.is_skipped


def test_learner_goes_on_identically_from_its_state() -> None:
    first, second, (images, masks) = _learner(), _learner(), _batch()
    first.step(images, masks, 0, 1e-3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for learner in (first, second):
        learner.step(images, masks, 1, 1e-3)
    torch.testing.assert_close(first.network.state_dict(), second.network.state_dict(), rtol=0, atol=0)


def test_learner_stays_as_it_was_when_the_loss_is_not_finite() -> None:
    learner, (images, masks) = _learner(), _batch()
    learner.step(images, masks, 0, 1e-3)
    healthy = next(learner.network.parameters()).detach().clone()
    with torch.no_grad():
        next(learner.network.parameters()).fill_(math.nan)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    average = {name: value.clone() for name, value in learner.average.network.state_dict().items()}
    report = learner.step(images, masks, 1, 1e-3)
    assert report.is_skipped
    assert learner.n_skipped == 1
    torch.testing.assert_close(learner.network.state_dict(), before, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(learner.average.network.state_dict(), average, rtol=0, atol=0)
    with torch.no_grad():
        next(learner.network.parameters()).copy_(healthy)
    assert not learner.step(images, masks, 2, 1e-3).is_skipped


def test_learner_gives_up_when_the_loss_stays_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lerenet.training.learner._MAX_SKIPPED_IN_A_ROW", 1)
    learner, (images, masks) = _learner(), _batch()
    with torch.no_grad():
        next(learner.network.parameters()).fill_(math.nan)
    learner.step(images, masks, 0, 1e-3)
    with pytest.raises(ConfigurationError, match="learning_rate"):
        learner.step(images, masks, 1, 1e-3)


def test_learner_decays_no_norms_or_biases() -> None:
    learner = _learner(weight_decay=0.3)
    groups = learner._optimiser.param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert all(p.ndim >= 2 for p in groups[0]["params"])
    assert all(p.ndim < 2 for p in groups[1]["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(learner.network.parameters()))


def test_learner_learns_in_bfloat16() -> None:
    report = _learner(precision="bf16").step(*_batch(), 0, 1e-3)
    assert math.isfinite(report.loss)
    assert not report.is_skipped


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "float32")])
def test_precision_is_bfloat16_only_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    losses = [_learner(precision=precision).step(*_batch(), 0, 1e-3).loss for precision in ("auto", expected)]
    assert losses[0] == losses[1]
    assert losses[0] != _learner(precision="bf16" if expected == "float32" else "float32").step(*_batch(), 0, 1e-3).loss
