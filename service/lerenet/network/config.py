"""What decides a network's structure: one frozen record, kept with the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Preset = Literal["metal", "paper"]
Backbone = Literal["metal", "resnet50", "vgg16_bn"]
Stem = Literal["deep", "plain"]


@dataclass(frozen=True)
class NetworkConfig:
    """Structure of a LERENet.

    Attributes:
        preset: `metal`, position-free, the one we ship; or `paper`, the published network.
        backbone: Feature extractor; the paper preset has the first stages of `resnet50` or `vgg16_bn`.
        stem: Of `resnet50`: three 3 x 3 convolutions (`deep`, as published) or one of 7 x 7 (`plain`, torchvision).
        stage_channels: Channels of the metal backbone's three stages, at strides 4, 8 and 16.
        pyramid_channels: Channels C of its finest map, after the top-down path.
        fusion_channels: Channels h of MPR, MPE and IFM per class.
        n_nodes: Graph nodes V of the metal MPR, per image.
        descriptor_channels: Channels d of the descriptors that are compared, per level.
        n_foreground: Size of each level's foreground descriptor bank, even.
        n_background: Size of each level's background descriptor bank, even.
    """

    preset: Preset = "metal"
    backbone: Backbone = "metal"
    stem: Stem = "deep"
    stage_channels: tuple[int, int, int] = (64, 128, 256)
    pyramid_channels: int = 96
    fusion_channels: int = 32
    n_nodes: int = 32
    descriptor_channels: tuple[int, int, int] = (48, 64, 64)
    n_foreground: int = 128
    n_background: int = 768

    def __post_init__(self) -> None:
        if self.preset not in get_args(Preset):
            raise ValueError(f"preset {self.preset!r} is unknown; there are {', '.join(get_args(Preset))}")


METAL = NetworkConfig()
PAPER_RESNET = NetworkConfig(preset="paper", backbone="resnet50")
PAPER_VGG = NetworkConfig(preset="paper", backbone="vgg16_bn")


def tiny() -> NetworkConfig:
    """A metal network small enough for tests: every part is there, with few channels."""
    return NetworkConfig(
        stage_channels=(8, 12, 16),
        pyramid_channels=8,
        fusion_channels=8,
        n_nodes=4,
        descriptor_channels=(6, 8, 8),
        n_foreground=16,
        n_background=32,
    )
