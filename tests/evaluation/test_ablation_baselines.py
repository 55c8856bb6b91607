from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch

from builders import plate_pairs
from lerenet.evaluation.baselines.ablations import with_plain_fusion, without_mpe, without_mpr
from lerenet.inference.segmenter import Segmenter
from lerenet.network import LERENet, build_lerenet
from lerenet.network.config import NetworkConfig, tiny


def segment(network: LERENet, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    query, support = torch.rand(2, 3, 64, 64, generator=random), torch.rand(2, 1, 3, 64, 64, generator=random)
    masks = torch.zeros(2, 1, 64, 64)
    masks[..., 16:40, 16:40] = 1
    logits: torch.Tensor = network(query, support, masks)
    return logits


def test_absent_parts_leave_no_parameter_behind() -> None:
    names = {key for key, _ in build_lerenet(tiny()).named_parameters()}
    mpr = {key for key, _ in without_mpr(tiny()).named_parameters()}
    mpe = {key for key, _ in without_mpe(tiny()).named_parameters()}
    assert names - mpr == {key for key in names if key.startswith("mpr.") and "pass_on" not in key}
    assert names - mpe == {key for key in names if key.startswith("mpe.")}


def test_plain_fusion_is_one_convolution() -> None:
    fusion = {key for key, _ in with_plain_fusion(tiny()).named_parameters() if key.startswith("ifm.")}
    assert fusion == {"ifm.classify.weight", "ifm.classify.bias"}


def test_network_without_reasoning_keeps_no_node() -> None:
    network = without_mpr(tiny()).eval()
    encoding = network.encode_support(torch.rand(1, 2, 3, 64, 64), torch.ones(1, 2, 64, 64))
    assert encoding.tensors["nodes"].numel() == 0
    assert not any(module is not network.mpr and hasattr(module, "gather_nodes") for module in network.modules())


@pytest.mark.parametrize("build", [without_mpr, without_mpe, with_plain_fusion])
def test_classes_are_fitted_to_ablated_networks(build: Callable[[NetworkConfig], LERENet]) -> None:
    torch.manual_seed(0)
    segmenter, shots = Segmenter(build(tiny()).eval(), torch.device("cpu")), plate_pairs(2)
    plain, fitted = segmenter.encode_unfitted(shots).encoding.tensors, segmenter.encode(shots).encoding.tensors
    assert any(not torch.equal(plain[name], fitted[name]) for name in plain)


def test_ablated_networks_survive_a_deep_copy() -> None:
    # The moving average of a training run is one.
    for build in (without_mpr, without_mpe, with_plain_fusion):
        torch.manual_seed(0)
        network = build(tiny()).eval()
        torch.testing.assert_close(segment(copy.deepcopy(network), 1), segment(network, 1))
