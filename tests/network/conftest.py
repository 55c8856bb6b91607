"""A tiny network and random images with marked rectangles, small enough for a test each."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from builders import tiny_network
from lerenet.network.lerenet import LERENet

SIZE_PX = 64


@pytest.fixture
def network() -> LERENet:
    """Tiny, in eval mode, with running statistics that differ from their start, as after training."""
    network = tiny_network()
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.1
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
    return network


@pytest.fixture
def query() -> Tensor:
    """(2, 3, 64, 64) RGB in 0 … 1."""
    return random_images(2, seed=1)


@pytest.fixture
def images() -> Tensor:
    """Support images (2, 3, 3, 64, 64): two classes of three shots."""
    return random_images(2, 3, seed=2)


@pytest.fixture
def masks() -> Tensor:
    """Their masks (2, 3, 64, 64) in {0, 1}, each with a rectangle of its own."""
    masks = torch.zeros(2, 3, SIZE_PX, SIZE_PX, dtype=torch.uint8)
    for b in range(2):
        for k in range(3):
            masks[b, k, 8 + 7 * k : 28 + 4 * k, 10 + 9 * b : 40 + 5 * k] = 1
    return masks


@pytest.fixture
def normals() -> Tensor:
    """Defect-free images (2, 2, 3, 64, 64), two per class."""
    return random_images(2, 2, seed=3)


def random_images(*leading: int, seed: int) -> Tensor:
    return torch.rand(*leading, 3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(seed))
