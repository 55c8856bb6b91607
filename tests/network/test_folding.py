"""Folding batch norms changes no answer."""

from __future__ import annotations

import torch
from torch import nn

from builders import tiny_network
from lerenet.network.folding import fold_batch_norms


def test_a_folded_network_answers_the_same() -> None:
    network = tiny_network()
    for norm in [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]:
        norm.running_mean = torch.empty_like(norm.bias).uniform_(-0.5, 0.5)
        norm.running_var = torch.empty_like(norm.bias).uniform_(0.5, 2.0)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    images, masks = torch.rand(2, 1, 3, 48, 64), torch.zeros(2, 1, 48, 64, dtype=torch.uint8)
    masks[..., 8:20, 8:30] = 1
    n_norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.no_grad():
        plain = network(images[:, 0], images, masks)
        fold_batch_norms(network)
        folded = network(images[:, 0], images, masks)

    assert torch.allclose(plain, folded, atol=1e-4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) < n_norms / 10
