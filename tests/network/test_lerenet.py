"""The frame: what holds for a whole network, whatever its parts."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL, PAPER_RESNET, PAPER_VGG, NetworkConfig, tiny
from lerenet.network.lerenet import IGNORE_INDEX, LERENet, foreground_logit


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def segment(network: LERENet, query: Tensor, images: Tensor, masks: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(query, images, masks)
    return logits


def test_logits_have_two_channels_at_the_size_of_the_query(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor
) -> None:
    logits = network(query[..., :48], images, masks)
    assert logits.shape == (2, 2, 64, 48)
    assert logits.dtype == torch.float32


def test_forward_is_encoding_then_segmenting(network: LERENet, query: Tensor, images: Tensor, masks: Tensor) -> None:
    with torch.no_grad():
        encoding = network.encode_support(images, masks)
        logits = network.segment(network.features(query), encoding)
    assert torch.equal(logits, segment(network, query, images, masks))


def test_summary_of_chosen_images_is_the_encoding_of_those_images(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor
) -> None:
    flat_images, flat_masks = images.flatten(0, 1), masks.flatten(0, 1)
    shots = torch.tensor([[4, 1], [0, 5], [4, 1]])
    with torch.no_grad():
        chosen = network.summarise(network.features(flat_images), flat_masks, shots)
        direct = network.encode_support(flat_images[shots], flat_masks[shots])
    for name, tensor in direct.tensors.items():
        assert_close(chosen.tensors[name], tensor)


def test_pairs_by_index_equal_pairs_side_by_side(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor
) -> None:
    index = torch.tensor([1, 0, 1, 1])
    with torch.no_grad():
        encoding = network.encode_support(images, masks)[torch.tensor([0, 0, 1, 0])]
        features = network.features(query)
        by_index = network.segment(features, encoding, index)
        side_by_side = network.segment(features.select(index), encoding)
        recomputed = network.segment(network.features(query[index]), encoding)
    assert_close(by_index, side_by_side)
    assert_close(by_index, recomputed)


def test_logits_do_not_depend_on_the_company_in_a_batch(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor
) -> None:
    together = segment(network, query, images, masks)
    for b in range(2):
        with torch.no_grad():
            alone = network(query[b : b + 1], images[b : b + 1], masks[b : b + 1])
        assert_close(alone[0], together[b])


def test_logits_depend_on_the_support(network: LERENet, query: Tensor, images: Tensor, masks: Tensor) -> None:
    logits = segment(network, query[:1].expand(2, -1, -1, -1), images, masks)
    assert (logits[0] - logits[1]).abs().max() > 1e-3


def test_calls_leave_no_trace_in_the_network(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor, normals: Tensor
) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    attributes = {name: set(vars(module)) for name, module in network.named_modules()}
    first = segment(network, query, images, masks)
    network(query.flip(0), images.flip(3), masks.flip(2), normals)
    assert torch.equal(segment(network, query, images, masks), first)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert {name: set(vars(module)) for name, module in network.named_modules()} == attributes


def test_arguments_are_not_changed(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor, normals: Tensor
) -> None:
    arguments = (query, images, masks, normals)
    before = copy.deepcopy(arguments)
    network(*arguments)
    assert all(torch.equal(after, kept) for after, kept in zip(arguments, before, strict=True))


@pytest.mark.parametrize(
    ("config", "size", "padded"), [(tiny(), (200, 64), "(208, 64)"), (PAPER_VGG, (30, 64), "(32, 64)")]
)
def test_images_of_odd_size_are_refused_with_the_size_to_pad_to(
    config: NetworkConfig, size: tuple[int, int], padded: str
) -> None:
    network = build_lerenet(config)
    with pytest.raises(ValueError, match=r"pad .* to " + padded.replace("(", r"\(").replace(")", r"\)")):
        network.features(torch.zeros(1, 3, *size))


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (1, 3, 0, 64)])
def test_images_without_three_channels_or_pixels_are_refused(network: LERENet, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="three channels"):
        network.features(torch.zeros(shape))


@pytest.mark.parametrize("config", [METAL, PAPER_RESNET], ids=["metal", "paper"])
def test_whole_preset_trains_under_bfloat16(config: NetworkConfig) -> None:
    torch.manual_seed(0)
    network = build_lerenet(config).train()
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[:, 10:40, 20:50] = 1
    with torch.autocast("cpu", torch.bfloat16):
        features = network.features(torch.rand(2, 3, 64, 64).contiguous(memory_format=torch.channels_last))
        encoding = network.summarise(features, masks, torch.tensor([[1], [0]]))
        logits = network.segment(features, encoding)
    torch.nn.functional.cross_entropy(logits.float(), masks.long()).backward()
    silent = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert silent == []
    assert all(
        bool(parameter.grad.isfinite().all()) for parameter in network.parameters() if parameter.grad is not None
    )


def test_foreground_logit_gives_the_softmax_probability() -> None:
    logits = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(foreground_logit(logits).sigmoid(), logits.softmax(1)[:, 1])


def test_ignore_index_is_the_byte_of_padding() -> None:
    assert IGNORE_INDEX == 255


def test_gradients_reach_every_parameter(network: LERENet) -> None:
    network.train()
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(2, 2, 3, 64, 64, generator=generator)
    masks = torch.zeros(2, 2, 64, 64)
    masks[..., 16:40, 8:30] = 1
    network(images[:, 0], images, masks).square().mean().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert silent == []
