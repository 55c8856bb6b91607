"""Folding changes no answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from builders import tiny_network
from lerenet.network import LERENet, SupportEncoding, foreground_logit
from lerenet.network.folding import fold


def test_a_folded_network_answers_the_same() -> None:
    network, images, masks = _with_lively_norms(), torch.rand(2, 1, 3, 48, 64), _masks()
    with torch.no_grad():
        plain = foreground_logit(network(images[:, 0], images, masks))
        fold(network)
        folded = foreground_logit(network(images[:, 0], images, masks))

    assert torch.allclose(plain, folded, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_class_can_be_fitted_through_a_folded_network() -> None:
    network, images, masks = _with_lively_norms(), torch.rand(2, 1, 3, 48, 64), _masks()
    plain = _gradients(network, images, masks)
    fold(network)
    folded = _gradients(network, images, masks)

    assert all(torch.allclose(plain[name], folded[name], atol=1e-4, rtol=1e-3) for name in plain)
    assert any(gradient.abs().max() > 0 for gradient in plain.values())


def _gradients(network: LERENet, images: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Of the mean logit, to each tensor of the encoding that can be fitted."""
    with torch.no_grad():
        encoding, features = network.encode_support(images, masks), network.features(images[:, 0])
    leaves = {name: encoding.tensors[name].clone().requires_grad_() for name in network.fitted}
    logits = network.segment(features, SupportEncoding({**encoding.tensors, **leaves}))
    return dict(zip(leaves, torch.autograd.grad(foreground_logit(logits).mean(), list(leaves.values())), strict=True))


def _with_lively_norms() -> LERENet:
    torch.manual_seed(0)
    network = tiny_network()
    for norm in [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]:
        norm.running_mean = torch.empty_like(norm.bias).uniform_(-0.5, 0.5)
        norm.running_var = torch.empty_like(norm.bias).uniform_(0.5, 2.0)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    return network


def _masks() -> Tensor:
    masks = torch.zeros(2, 1, 48, 64, dtype=torch.uint8)
    masks[..., 8:20, 8:30] = 1
    return masks
