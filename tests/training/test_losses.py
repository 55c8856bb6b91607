import math

import pytest
import torch

from lerenet.training.losses import dice_loss, segmentation_losses


def test_dice_loss_equals_the_hand_computed_value() -> None:
    probabilities = torch.tensor([[[0.5, 1.0], [0.0, 0.25]]])
    targets = torch.tensor([[[1, 1], [0, 0]]], dtype=torch.uint8)
    # Overlap 1.5, areas 1.75 and 2, smoothing area 0.1 * 4.
    assert dice_loss(probabilities, targets, 0.1).item() == pytest.approx(1 - (2 * 1.5 + 0.4) / (3.75 + 0.4))


def test_dice_loss_of_a_perfect_mask_is_zero() -> None:
    targets = torch.tensor([[[1, 0], [0, 1]]], dtype=torch.uint8)
    assert dice_loss(targets.float(), targets, 0.1).item() == 0


def test_dice_loss_of_a_silent_answer_is_zero_when_the_query_has_no_defect() -> None:
    assert dice_loss(torch.zeros(1, 4, 4), torch.zeros(1, 4, 4), 1e-3).item() == 0


def test_dice_loss_pulls_false_marks_down_when_the_query_has_no_defect() -> None:
    probabilities = torch.full((1, 4, 4), 0.5, requires_grad=True)
    dice_loss(probabilities, torch.zeros(1, 4, 4), 1e-3).sum().backward()
    assert probabilities.grad is not None
    assert (probabilities.grad > 0).all()


def test_dice_loss_judges_each_query_alone() -> None:
    random = torch.Generator().manual_seed(0)
    probabilities = torch.rand(3, 8, 8, generator=random)
    targets = torch.rand(3, 8, 8, generator=random) > 0.7
    alone = torch.cat([dice_loss(probabilities[i : i + 1], targets[i : i + 1], 0.01) for i in range(3)])
    torch.testing.assert_close(dice_loss(probabilities, targets, 0.01), alone)


def test_segmentation_losses_equal_the_hand_computed_values() -> None:
    logits = torch.tensor([0.0, math.log(3.0)]).reshape(1, 2, 1, 1)
    losses = segmentation_losses(logits, torch.ones(1, 1, 1, dtype=torch.uint8), 0.5)
    assert losses.cross_entropy.item() == pytest.approx(-math.log(0.75))
    assert losses.dice.item() == pytest.approx(1 - (2 * 0.75 + 0.5) / (1.75 + 0.5))
    assert losses.total.item() == pytest.approx(-math.log(0.75) + 1 - 2 / 2.25)


def test_segmentation_losses_are_float32_when_logits_are_bfloat16() -> None:
    losses = segmentation_losses(torch.zeros(1, 2, 4, 4, dtype=torch.bfloat16), torch.zeros(1, 4, 4), 1e-3)
    assert losses.total.dtype == torch.float32
