"""What tests are made of: synthetic plates and tiny seeded networks."""

from __future__ import annotations

import torch

from lerenet.imaging import Shot
from lerenet.network import LERENet, build_lerenet
from lerenet.network.config import tiny
from lerenet.synthetic import EpisodeGenerator
from lerenet.synthetic.sheet import episode_shots


def plate_pairs(n: int, seed: int = 0, size_px: int = 200) -> list[Shot]:
    """Plates of one synthetic defect class, every one with a defect."""
    return episode_shots(EpisodeGenerator(seed=seed, size_px=size_px, n_images=max(n, 2), defect_free=0.0), 0)[:n]


def tiny_network(seed: int = 0) -> LERENet:
    """A network of few channels with seeded random weights, in eval mode."""
    torch.manual_seed(seed)
    return build_lerenet(tiny()).eval()
