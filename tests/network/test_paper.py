"""The acceptance checks of the published network."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lerenet.errors import ConfigurationError
from lerenet.network.build import build_lerenet
from lerenet.network.config import PAPER_RESNET, PAPER_VGG, NetworkConfig
from lerenet.network.lerenet import IGNORE_INDEX, LERENet
from lerenet.network.paper.support import DESCRIPTORS, mask_coverage

SIZE_PX = 200
VARIANTS = pytest.mark.parametrize("config", [PAPER_RESNET, PAPER_VGG], ids=["resnet50", "vgg16_bn"])


def paper_network(config: NetworkConfig) -> LERENet:
    torch.manual_seed(0)
    return build_lerenet(config).eval()


def episode(n_classes: int = 2, n_shots: int = 1, size_px: int = SIZE_PX) -> tuple[Tensor, Tensor, Tensor]:
    """Query (B, 3, S, S), support images (B, K, 3, S, S) and masks (B, K, S, S): one rectangle each, and padding."""
    torch.manual_seed(1)
    query = torch.rand(n_classes, 3, size_px, size_px)
    images = torch.rand(n_classes, n_shots, 3, size_px, size_px)
    masks = torch.zeros(n_classes, n_shots, size_px, size_px, dtype=torch.uint8)
    for shot in range(n_shots):
        masks[:, shot, size_px // 4 + 3 * shot : size_px // 2, size_px // 3 : size_px // 2 + 5 * shot] = 1
    masks[..., -size_px // 8 :] = IGNORE_INDEX
    return query, images, masks


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("config", "part", "n"),
    [
        (PAPER_RESNET, "backbone", 349_120),
        (PAPER_RESNET, "backbone.stem", 112_832),
        (PAPER_RESNET, "backbone.stage1", 236_288),
        (PAPER_RESNET, "support_pool", 0),
        (PAPER_RESNET, "mpr", 657_152),
        (PAPER_RESNET, "mpe", 8_720),
        (PAPER_RESNET, "prior", 0),
        (PAPER_RESNET, "ifm", 1_901_314),
        (PAPER_RESNET, "", 2_916_306),
        (PAPER_VGG, "", 903_498),
    ],
)
def test_part_has_the_published_number_of_parameters(config: NetworkConfig, part: str, n: int) -> None:
    assert n_parameters(paper_network(config).get_submodule(part)) == n


@pytest.mark.parametrize(("n_shots", "gmac"), [(1, 9.61), (5, 16.44)])
def test_episode_costs_what_the_published_layers_add_up_to(n_shots: int, gmac: float) -> None:
    network = paper_network(PAPER_RESNET)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(*episode(n_classes=1, n_shots=n_shots))
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, abs=0.005)


@VARIANTS
def test_every_parameter_takes_part_in_the_output(config: NetworkConfig) -> None:
    network = paper_network(config).train()
    network(*episode(size_px=40)).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@VARIANTS
@pytest.mark.parametrize("n_shots", [1, 5])
def test_logits_have_the_size_of_the_query(config: NetworkConfig, n_shots: int) -> None:
    with torch.inference_mode():
        logits = paper_network(config)(*episode(n_shots=n_shots))
    assert logits.shape == (2, 2, SIZE_PX, SIZE_PX)
    assert logits.isfinite().all()


@VARIANTS
def test_backbone_gives_one_map_at_stride_4(config: NetworkConfig) -> None:
    network = paper_network(config)
    with torch.inference_mode():
        features = network.features(torch.rand(1, 3, SIZE_PX, SIZE_PX))
    n_channels = {"resnet50": 256, "vgg16_bn": 128}[config.backbone]
    assert [tuple(m.shape) for m in features.maps] == [(1, n_channels, 50, 50)]


def test_plain_stem_keeps_the_shape_of_the_map() -> None:
    network = paper_network(replace(PAPER_RESNET, stem="plain"))
    with torch.inference_mode():
        assert network.features(torch.rand(1, 3, 40, 48)).maps[0].shape == (1, 256, 10, 12)


def test_deep_stem_backbone_sees_39_pixels() -> None:
    """Counted from the geometry of the layers, (kernel, stride) in order."""
    backbone = paper_network(PAPER_RESNET).backbone
    layers = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    field, jump = 1, 1
    for layer in layers:
        kernel, stride = (v[0] if isinstance(v, tuple) else v for v in (layer.kernel_size, layer.stride))
        field, jump = field + (kernel - 1) * jump, jump * stride
    assert (field, jump) == (39, 4)


@VARIANTS
def test_images_are_normalised_by_the_statistics_of_imagenet(config: NetworkConfig) -> None:
    network = paper_network(config)
    assert network.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert network.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])


@VARIANTS
def test_gei_is_zero_exactly_outside_the_resized_support_mask(config: NetworkConfig) -> None:
    network = paper_network(config)
    query, images, masks = episode()
    with torch.inference_mode():
        features = network.features(query)
        gei = network.prior(features, network.encode_support(images, masks))
    covered = mask_coverage(masks[:, 0], (50, 50)) > 0
    assert gei.shape == (2, 1, 50, 50)
    assert (gei[~covered] == 0).all()
    assert (gei[covered] != 0).all()
    assert 0.8 < float((~covered).float().mean()) < 1.0


@VARIANTS
@pytest.mark.parametrize("n_shots", [2, 3, 5])
def test_copies_of_one_shot_give_the_output_of_one_shot(config: NetworkConfig, n_shots: int) -> None:
    network = paper_network(config)
    query, images, masks = episode(size_px=80)
    with torch.inference_mode():
        once = network(query, images, masks)
        copies = network(query, images.expand(-1, n_shots, -1, -1, -1), masks.expand(-1, n_shots, -1, -1))
    torch.testing.assert_close(copies, once)


@VARIANTS
def test_order_of_shots_does_not_matter(config: NetworkConfig) -> None:
    network = paper_network(config)
    query, images, masks = episode(n_shots=3, size_px=80)
    with torch.inference_mode():
        logits = network(query, images, masks)
        reversed_shots = network(query, images.flip(1), masks.flip(1))
    torch.testing.assert_close(reversed_shots, logits)


@VARIANTS
def test_encoding_then_segmenting_equals_forward(config: NetworkConfig) -> None:
    network = paper_network(config)
    query, images, masks = episode(n_shots=2, size_px=80)
    with torch.inference_mode():
        encoding = network.encode_support(images, masks)
        logits = network.segment(network.features(query), encoding)
        torch.testing.assert_close(logits, network(query, images, masks))


@VARIANTS
def test_pair_does_not_depend_on_its_company(config: NetworkConfig) -> None:
    network = paper_network(config)
    query, images, masks = episode(size_px=80)
    with torch.inference_mode():
        encoding, features = network.encode_support(images, masks), network.features(query)
        crossed = network.segment(features, encoding, torch.tensor([1, 0]))
        alone = network(query[1:], images[:1], masks[:1])
    torch.testing.assert_close(crossed[:1], alone)


def test_ignored_pixels_are_background_of_the_support() -> None:
    network = paper_network(PAPER_VGG)
    _, images, masks = episode(size_px=80)
    with torch.inference_mode():
        padded = network.encode_support(images, masks)
        zeroed = network.encode_support(images, masks.where(masks != IGNORE_INDEX, 0))
    assert torch.equal(padded.tensors[DESCRIPTORS], zeroed.tensors[DESCRIPTORS])


def test_normals_do_not_change_the_encoding() -> None:
    network = paper_network(PAPER_VGG)
    _, images, masks = episode(size_px=40)
    with torch.inference_mode():
        without = network.encode_support(images, masks)
        with_normals = network.encode_support(images, masks, torch.rand(2, 3, 3, 40, 40))
    assert torch.equal(without.tensors[DESCRIPTORS], with_normals.tensors[DESCRIPTORS])


def test_query_of_another_size_is_refused_with_both_grids() -> None:
    network = paper_network(PAPER_VGG)
    _, images, masks = episode(size_px=40)
    with torch.inference_mode(), pytest.raises(ValueError, match=r"\(10, 10\) cells and the query has \(12, 10\)"):
        network.segment(network.features(torch.rand(2, 3, 48, 40)), network.encode_support(images, masks))


def test_backbone_of_the_other_preset_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose `resnet50` or `vgg16_bn`"):
        build_lerenet(replace(PAPER_RESNET, backbone="metal"))
