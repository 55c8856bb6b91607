from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import Tensor

from lerenet.errors import ConfigurationError
from lerenet.evaluation.baselines import PEERS, build_peer
from lerenet.network import LERENet, SupportEncoding
from lerenet.network.config import tiny
from lerenet.network.layers import resized_to
from lerenet.training.config import TrainingConfig
from lerenet.training.learner import Learner

SIDE_PX = 64
CPU = torch.device("cpu")

# `paper` has the code of `paper-vgg16` around a larger backbone, which the tests of the network look at.
every_peer = pytest.mark.parametrize("name", [name for name in PEERS if name != "paper"])


def close(name: str) -> float:
    """How far probabilities may lie apart by float32 sums in another order; TGRNet multiplies sums over all cells."""
    return 1e-2 if name == "tgrnet" else 1e-3


def batch() -> tuple[Tensor, Tensor]:
    """Two episodes of three plates (2, 3, 3, H, W) uint8, noise with bright squares, and masks (2, 3, H, W)."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(60, 120, (2, 3, 3, SIDE_PX, SIDE_PX), generator=random, dtype=torch.uint8)
    masks = torch.zeros(2, 3, SIDE_PX, SIDE_PX, dtype=torch.uint8)
    for plate in range(3):
        masks[:, plate, 8 + 4 * plate : 32 + 4 * plate, 16:40] = 1
    return torch.where(masks[:, :, None] == 1, images + 120, images), masks


def plates() -> tuple[Tensor, Tensor]:
    """The three plates of the first episode: images (3, 3, H, W) float32, masks (3, H, W)."""
    images, masks = batch()
    return images[0].float() / 255, masks[0]


def peer(name: str) -> LERENet:
    torch.manual_seed(1)
    return build_peer(name, tiny())


@cache
def _used(name: str) -> LERENet:
    with torch.inference_mode(mode=False):  # tests of answers run inside it, and this learns
        network = peer(name)
        Learner(network, TrainingConfig(precision="float32", learning_rate=1e-2), CPU).step(*batch(), 0, 1e-2)
    return network.eval()


def used(name: str) -> LERENet:
    """In evaluation mode, with statistics of the plates and every branch awake."""
    return copy.deepcopy(_used(name))


def logits(network: LERENet, query: Tensor, images: Tensor, masks: Tensor, shots: list[int]) -> Tensor:
    """(1, 2, H, W) of one query and one class."""
    encoding = network.summarise(network.features(images), masks, torch.tensor([shots]))
    return network.segment(network.features(query), encoding)


@every_peer
@torch.inference_mode()
def test_peer_segments_at_the_size_of_its_image(name: str) -> None:
    network = used(name)
    images, masks = plates()
    wide = torch.nn.functional.pad(images[:1], (0, 32))
    wide_mask = torch.nn.functional.pad(masks[:1], (0, 32))
    found = logits(network, wide, wide, wide_mask, [0])
    assert found.shape == (1, 2, SIDE_PX, SIDE_PX + 32)
    assert found.dtype == torch.float32
    assert found.isfinite().all()


@every_peer
def test_gradient_reaches_every_parameter(name: str) -> None:
    network = used(name).train()
    network.zero_grad()
    images, masks = plates()
    features = network.features(images)
    encoding = network.summarise(features, masks, torch.tensor([[1, 2], [2, 0], [0, 1]]))
    # Squares, as a sum of logits is blind to what batch norm takes out again.
    network.segment(features, encoding).square().mean().backward()
    missing = [key for key, p in network.named_parameters() if p.grad is None]
    assert missing == []


@every_peer
@torch.inference_mode()
def test_copies_of_one_shot_say_what_one_says(name: str) -> None:
    network = used(name)
    images, masks = plates()
    one, three = (logits(network, images[:1], images, masks, shots) for shots in ([1], [1, 1, 1]))
    torch.testing.assert_close(one.softmax(1), three.softmax(1), atol=close(name), rtol=0)


@every_peer
@torch.inference_mode()
def test_another_shot_changes_the_answer(name: str) -> None:
    network = used(name)
    images, masks = plates()
    here, elsewhere = masks.clone(), masks.clone()
    elsewhere[1] = masks[1].roll(20, dims=1)
    one, other = (logits(network, images[:1], images, each, [1]) for each in (here, elsewhere))
    assert (one - other).abs().max() > 1e-4


@every_peer
@torch.inference_mode()
def test_pairs_in_a_batch_are_the_same_as_one_by_one(name: str) -> None:
    network = used(name)
    images, masks = plates()
    features = network.features(images)
    encoding = network.summarise(features, masks, torch.tensor([[0, 1], [1, 2], [2, 0]]))
    order = torch.tensor([2, 0, 2])
    batched = network.segment(features, encoding, order)
    for pair, image in enumerate(order.tolist()):
        alone = network.segment(network.features(images[image : image + 1]), encoding[pair])
        torch.testing.assert_close(batched[pair : pair + 1].softmax(1), alone.softmax(1), atol=close(name), rtol=0)


@every_peer
def test_some_steps_on_one_batch_lower_the_loss(name: str) -> None:
    learner = Learner(peer(name), TrainingConfig(precision="float32", max_shots=1), CPU)
    losses = [learner.step(*batch(), 0, 3e-3).loss for _ in range(10)]
    assert losses[-1] < 0.9 * losses[0]


@every_peer
def test_half_precision_gives_nearly_the_same_loss(name: str) -> None:
    exact, rough = (
        Learner(peer(name), TrainingConfig(precision=precision), CPU).step(*batch(), 0, 1e-3).loss
        for precision in ("float32", "bf16")
    )
    assert rough == pytest.approx(exact, rel=0.05)


@every_peer
@torch.inference_mode()
def test_encodings_of_equal_shots_stack(name: str) -> None:
    network = used(name)
    images, masks = plates()
    features = network.features(images)
    parts = [network.summarise(features, masks, torch.tensor([[i, 2]])) for i in range(2)]
    assert len(SupportEncoding.stack(parts)) == 2


@pytest.mark.parametrize("name", ["pfenet", "hsnet", "cpanet", "tgrnet"])
def test_peer_refuses_a_size_between_its_strides(name: str) -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        peer(name).features(torch.zeros(1, 3, 60, 64))


def test_unknown_peer_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'resnet'.*pfenet"):
        build_peer("resnet")


@torch.inference_mode()
def test_defect_free_images_are_sound_metal_to_tgrnet() -> None:
    network = used("tgrnet")
    images, masks = plates()
    features = network.features(images)
    own, given = (network.summarise(features, masks, torch.tensor([[0]]), each) for each in (None, features))
    assert not torch.equal(own.tensors["sound"], given.tensors["sound"])
    torch.testing.assert_close(given.tensors["sound"], features.maps[0].mean(0, keepdim=True))


def test_self_prediction_of_cpanet_teaches_through_the_proxy_alone() -> None:
    network = peer("cpanet")
    images, masks = plates()
    features = network.features(images)
    encoding = network.summarise(features, masks, torch.tensor([[0]]))
    (0 * encoding.tensors["proxy"].sum()).backward()
    own = [p.grad for key, p in network.named_parameters() if key.startswith("predict_itself")]
    assert own
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in own[:1])


@torch.inference_mode()
def test_prior_of_pfenet_is_highest_where_the_query_repeats_the_support() -> None:
    from lerenet.evaluation.baselines.pfenet import _prior

    cells = torch.nn.functional.normalize(torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    bank = torch.zeros(1, 1, 16, 8)
    bank[0, 0, 0] = cells[0, :, 2, 1]
    prior = _prior(cells, bank)
    assert prior[0, 0, 2, 1] == pytest.approx(1.0, abs=1e-5)
    assert prior.min() == pytest.approx(0.0, abs=1e-5)
    assert resized_to(prior, cells).argmax() == 2 * 4 + 1


@torch.inference_mode()
def test_center_pivot_convolution_sees_no_cell_off_both_pivots() -> None:
    from lerenet.evaluation.baselines.center_pivot import CenterPivotConv

    torch.manual_seed(0)
    convolve = CenterPivotConv(1, 1, stride=1)
    x = torch.zeros(1, 1, 5, 5, 5, 5)
    plain = convolve(x)
    x[0, 0, 2, 2, 2, 2] = 1
    changed = (convolve(x) - plain).abs() > 1e-7
    assert changed[0, 0, 2, 3, 2, 2]
    assert changed[0, 0, 2, 2, 2, 3]
    assert not changed[0, 0, 2, 3, 2, 3]


@torch.inference_mode()
def test_hsnet_averages_the_probabilities_of_its_shots() -> None:
    network = used("hsnet")
    images, masks = plates()
    one, two, both = (logits(network, images[:1], images, masks, shots) for shots in ([1], [2], [1, 2]))
    torch.testing.assert_close(both.softmax(1), (one.softmax(1) + two.softmax(1)) / 2, atol=1e-5, rtol=1e-4)
