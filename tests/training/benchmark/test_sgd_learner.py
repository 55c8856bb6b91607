from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor

from builders import tiny_network
from lerenet.errors import ConfigurationError
from lerenet.network import PAPER_VGG, build_lerenet
from lerenet.training.benchmark.learner import SgdLearner, poly_factor, segment_episodes
from lerenet.training.config import TrainingConfig

_CPU = torch.device("cpu")
_CONFIG = TrainingConfig(network="tiny", learning_rate=5e-4, weight_decay=1e-4)


def _batch(n_shots: int = 1) -> tuple[Tensor, Tensor]:
    """Two episodes of noise with a bright square; the last rows of the queries are padding."""
    random = torch.Generator().manual_seed(1)
    images = torch.randint(60, 120, (2, 1 + n_shots, 3, 48, 48), generator=random, dtype=torch.uint8)
    masks = torch.zeros(2, 1 + n_shots, 48, 48, dtype=torch.uint8)
    masks[..., 10:30, 8:28] = 1
    masks[:, 0, 40:] = 255
    return torch.where(masks[:, :, None] == 1, images + 120, images), masks


def _learner(*, is_pretrained: bool = False) -> SgdLearner:
    return SgdLearner(tiny_network(), _CONFIG, _CPU, is_pretrained=is_pretrained)


def test_learner_overfits_one_batch() -> None:
    learner, (images, masks) = _learner(), _batch()
    losses = [learner.step(images, masks, index, 2e-3).loss for index in range(40)]
    assert losses[-1] < 0.5 * losses[0]


def test_rates_of_the_groups_are_those_of_the_authors() -> None:
    learner = _learner(is_pretrained=True)
    learner.step(*_batch(), 0, 5e-4)
    assert [group["lr"] for group in learner._optimiser.param_groups] == pytest.approx([5e-5, 5e-3])
    backbone = learner._optimiser.param_groups[0]["params"]
    assert {id(p) for p in backbone} == {id(p) for p in learner.network.backbone.parameters()}


def test_backbone_without_pretrained_weights_learns_like_the_rest() -> None:
    assert {group["factor"] for group in _learner()._optimiser.param_groups} == {10.0}


def test_padding_of_the_query_is_no_part_of_the_loss() -> None:
    images, masks = _batch()
    other = images.clone()
    other[:, 0, :, 47] = 255 - other[:, 0, :, 47]
    learner = _learner()
    logits = segment_episodes(learner.network, images, masks, _CPU)
    logits[:, :, 40:] += 100
    report = _learner().step(images, masks, 0, 0.0)
    target = masks[:, 0].long()
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=255)
    assert report.loss == pytest.approx(float(expected.detach()), rel=1e-4)


def test_average_is_the_network_itself() -> None:
    learner = _learner()
    learner.step(*_batch(), 0, 1e-2)
    torch.testing.assert_close(learner.average.network.state_dict(), learner.network.state_dict())


def test_learner_goes_on_identically_from_its_state() -> None:
    first, second, (images, masks) = _learner(), _learner(), _batch()
    first.step(images, masks, 0, 1e-3)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for learner in (first, second):
        torch.manual_seed(0)  # a network may draw while it trains
        learner.step(images, masks, 1, 1e-3)
    torch.testing.assert_close(first.network.state_dict(), second.network.state_dict(), rtol=0, atol=0)


def test_loss_that_is_not_finite_ends_the_run() -> None:
    learner = _learner()
    with torch.no_grad():
        next(learner.network.parameters()).fill_(math.nan)
    with pytest.raises(ConfigurationError, match="the loss of step 7 is nan"):
        learner.step(*_batch(), 7, 1e-3)


def test_rate_falls_by_the_power_of_the_authors() -> None:
    assert poly_factor(0.0, 0.0) == 1.0
    assert poly_factor(0.5, 0.0) == pytest.approx(0.5**0.9)
    assert poly_factor(1.0, 0.0) == 0.0


@pytest.mark.parametrize("n_shots", [1, 2])
def test_either_preset_segments_episodes(n_shots: int) -> None:
    torch.manual_seed(0)
    for network in (tiny_network(), build_lerenet(PAPER_VGG).eval()):
        images, masks = _batch(n_shots)
        with torch.no_grad():
            logits = segment_episodes(network, images[..., :44, :44], masks[..., :44, :44], _CPU)
        assert logits.shape == (2, 2, 44, 44)
