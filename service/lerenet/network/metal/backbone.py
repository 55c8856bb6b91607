"""The trunk every image passes once: three residual stages and a top-down path to the finest."""

from __future__ import annotations

from torch import Tensor, nn

from lerenet.network.layers import ResidualBlock, conv_norm_relu, resized_to


class MetalBackbone(nn.Module):
    """Images (B, 3, H, W), normalised, to three maps at strides 4, 8 and 16.

    The finest map has seen all strides; the coarser two are the stages as they are. Capacity lives here, where it is
    paid for once per image, and not in the per-class parts.

    Args:
        stage_channels: Channels of the stages at strides 4, 8, 16.
        pyramid_channels: Channels C of the finest map.
    """

    def __init__(self, stage_channels: tuple[int, int, int], pyramid_channels: int) -> None:
        super().__init__()
        c4, c8, c16 = stage_channels
        half = c4 // 2
        self.stem = nn.Sequential(
            conv_norm_relu(3, half, stride=2), conv_norm_relu(half, half), nn.MaxPool2d(2), conv_norm_relu(half, c4)
        )
        self.stage4 = nn.Sequential(ResidualBlock(c4, c4), ResidualBlock(c4, c4))
        self.stage8 = nn.Sequential(ResidualBlock(c4, c8, 2), ResidualBlock(c8, c8))
        self.stage16 = nn.Sequential(ResidualBlock(c8, c16, 2), ResidualBlock(c16, c16), ResidualBlock(c16, c16))
        self.lateral = nn.ModuleList(nn.Conv2d(c, pyramid_channels, 1) for c in stage_channels)
        self.smooth = ResidualBlock(pyramid_channels, pyramid_channels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (B, C, H/4, W/4), (B, c8, H/8, W/8), (B, c16, H/16, W/16)."""
        at4 = self.stage4(self.stem(images))
        at8 = self.stage8(at4)
        at16 = self.stage16(at8)
        down8 = self.lateral[1](at8) + resized_to(self.lateral[2](at16), at8)
        down4 = self.lateral[0](at4) + resized_to(down8, at4)
        return self.smooth(down4), at8, at16
