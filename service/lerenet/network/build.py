"""From a configuration to a network."""

from __future__ import annotations

from lerenet.network.config import NetworkConfig
from lerenet.network.lerenet import LERENet
from lerenet.network.metal import build_metal_parts
from lerenet.network.paper import build_paper_parts


def build_lerenet(config: NetworkConfig) -> LERENet:
    """A network with randomly initialised parameters, in training mode; seed torch first to repeat it."""
    parts = build_metal_parts if config.preset == "metal" else build_paper_parts
    return LERENet(config, **parts(config))
