"""The metal preset: what its parts promise, and its budget."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from builders import tiny_network
from lerenet.network import IGNORE_INDEX, METAL, LERENet, SupportEncoding, build_lerenet, foreground_logit
from lerenet.network.metal.names import BACKGROUND, FOREGROUND, NODES, background_bank, foreground_bank

SIZE = 64


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def _masks(*shape: int) -> Tensor:
    """Squares that lie elsewhere on every image."""
    masks = torch.zeros(*shape, SIZE, SIZE, dtype=torch.uint8)
    for order, mask in enumerate(masks.view(-1, SIZE, SIZE)):
        start = 4 + 7 * order % 32
        mask[start : start + 20, start : start + 16] = 1
    return masks


@pytest.fixture
def network() -> LERENet:
    return tiny_network()


def _assert_close(first: SupportEncoding, second: SupportEncoding) -> None:
    for name, tensor in first.tensors.items():
        torch.testing.assert_close(tensor, second.tensors[name], msg=name)


@torch.inference_mode()
def test_logits_have_two_channels_and_the_size_of_the_query(network: LERENet) -> None:
    assert network(_images(2), _images(2, 3), _masks(2, 3)).shape == (2, 2, SIZE, SIZE)


@torch.inference_mode()
def test_encoding_then_segmenting_equals_forward(network: LERENet) -> None:
    query, images, masks = _images(2), _images(2, 3, seed=1), _masks(2, 3)
    split = network.segment(network.features(query), network.encode_support(images, masks))
    torch.testing.assert_close(split, network(query, images, masks))


@torch.inference_mode()
def test_pairs_by_index_equal_pairs_side_by_side(network: LERENet) -> None:
    features = network.features(_images(2))
    encoding = network.encode_support(_images(3, 2, seed=1), _masks(3, 2))
    index = torch.tensor([1, 0, 1])
    together = network.segment(features, encoding, index)
    for pair, image in enumerate(index.tolist()):
        alone = network.segment(features.select(torch.tensor([image])), encoding[pair])
        torch.testing.assert_close(together[pair : pair + 1], alone, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_the_order_of_the_shots_does_not_matter(network: LERENet) -> None:
    images, masks = _images(1, 3), _masks(1, 3)
    order = torch.tensor([2, 0, 1])
    _assert_close(network.encode_support(images, masks), network.encode_support(images[:, order], masks[:, order]))


@torch.inference_mode()
def test_copies_of_one_shot_equal_one_shot(network: LERENet) -> None:
    images, masks = _images(1, 1), _masks(1, 1)
    copies = network.encode_support(images.expand(1, 4, -1, -1, -1), masks.expand(1, 4, -1, -1))
    _assert_close(network.encode_support(images, masks), copies)


@torch.inference_mode()
def test_an_encoding_has_one_size_for_any_number_of_shots(network: LERENet) -> None:
    shapes = [
        {name: tensor.shape for name, tensor in network.encode_support(_images(1, k), _masks(1, k)).tensors.items()}
        for k in (1, 5)
    ]
    assert shapes[0] == shapes[1]


@torch.inference_mode()
def test_a_held_out_subset_equals_encoding_it_alone(network: LERENet) -> None:
    images, masks = _images(3), _masks(3)
    features = network.support_features(images)
    subset = network.summarise(features, masks, torch.tensor([[0, 2]]))
    _assert_close(subset, network.encode_support(images[None, [0, 2]], masks[None, [0, 2]]))


@torch.inference_mode()
def test_ignored_pixels_carry_no_descriptor(network: LERENet) -> None:
    masks = _masks(1, 1)
    masks[..., 32:] = IGNORE_INDEX
    images = _images(1, 1)
    features = network.support_features(images[0])
    spoiled = [m.clone() for m in features.maps]
    for level_map in spoiled:
        level_map[..., level_map.shape[-1] // 2 :] = 1e3
    shots = torch.tensor([[0]])
    clean = network.summarise(features, masks[0], shots)
    _assert_close(clean, network.summarise(type(features)(tuple(spoiled), features.size, {}), masks[0], shots))


@torch.inference_mode()
def test_normals_change_the_background_alone(network: LERENet) -> None:
    images, masks = _images(1, 2), _masks(1, 2)
    plain = network.encode_support(images, masks)
    sharpened = network.encode_support(images, masks, _images(1, 3, seed=9))
    for name in (FOREGROUND, NODES, *(foreground_bank(level) for level in range(3))):
        torch.testing.assert_close(plain.tensors[name], sharpened.tensors[name])
    for name in (BACKGROUND, *(background_bank(level) for level in range(3))):
        assert plain.tensors[name].shape == sharpened.tensors[name].shape
        assert not torch.allclose(plain.tensors[name], sharpened.tensors[name])


@pytest.mark.parametrize("value", [0, 1])
@torch.inference_mode()
def test_a_mask_of_one_value_gives_finite_logits(network: LERENet, value: int) -> None:
    masks = torch.full((1, 1, SIZE, SIZE), value, dtype=torch.uint8)
    assert bool(network(_images(1), _images(1, 1), masks).isfinite().all())


@torch.inference_mode()
def test_a_thin_line_still_gives_foreground_descriptors(network: LERENet) -> None:
    line = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.uint8)
    line[..., 30, :] = 1
    images = _images(1, 1)
    encoding = network.encode_support(images, line)
    bank = encoding.tensors[foreground_bank(0)]
    cells = torch.nn.functional.normalize(network.support_features(images[0]).maps[0], dim=1)
    row = cells[0, :, 30 // 4].T
    assert torch.cdist(bank[0], row).amin(1).amax() < 1e-4


@torch.inference_mode()
def test_reasoning_does_not_depend_on_where_the_support_defect_lies(network: LERENet) -> None:
    cells = torch.rand(1, 8, 4, 4)
    weights = torch.zeros(1, 16)
    weights[:, 3:9] = 1
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    moved = cells.flatten(2)[..., order].view_as(cells)
    gather = network.mpr.gather_nodes
    torch.testing.assert_close(gather(cells, weights), gather(moved, weights[:, order]))


@torch.inference_mode()
def test_results_do_not_depend_on_who_shares_the_batch(network: LERENet) -> None:
    images, masks, query = _images(2, 2), _masks(2, 2), _images(2, seed=4)
    together = foreground_logit(network(query, images, masks)).sigmoid()
    alone = foreground_logit(network(query[:1], images[:1], masks[:1])).sigmoid()
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter(network: LERENet) -> None:
    network.train()
    network(_images(2), _images(2, 2), _masks(2, 2)).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    # The last lateral bias shifts every cell alike, which batch norm removes again: it alone may stay near zero.
    assert [name for name in silent if "lateral" not in name] == []


def test_a_size_that_does_not_fit_names_the_one_to_pad_to(network: LERENet) -> None:
    with pytest.raises(ValueError, match=r"pad \(50, 64\) to \(64, 64\)"):
        network.features(torch.rand(1, 3, 50, 64))


@torch.inference_mode()
def test_segmenting_keeps_nothing_on_the_network(network: LERENet) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    attributes = set(vars(network))
    network(_images(1), _images(1, 2), _masks(1, 2))
    assert set(vars(network)) == attributes
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@torch.inference_mode()
def test_the_shipped_size_keeps_its_budget() -> None:
    """At 200 px (padded to 208): at most 5 GMAC per image, and a class at most a fifth of an image."""
    network = build_lerenet(METAL).eval()
    encoding = network.encode_support(torch.rand(1, 1, 3, 208, 208), torch.ones(1, 1, 208, 208))
    with FlopCounterMode(display=False) as per_image:
        features = network.features(torch.rand(1, 3, 208, 208))
    with FlopCounterMode(display=False) as per_class:
        network.segment(features, encoding)
    shared, classes = per_image.get_total_flops() / 2, per_class.get_total_flops() / 2
    assert shared <= 5e9
    assert classes <= 0.2 * shared
