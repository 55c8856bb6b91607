"""The two backbones of the published network, each cut after its first stage (stride 4).

Both build only what runs. Sub-modules are numbered as in the public ImageNet files, so that `pretrained` merely renames
prefixes.
"""

from __future__ import annotations

from torch import Tensor, nn

from lerenet.network.config import Stem

BOTTLENECK_EXPANSION = 4
RESNET_WIDTH = 64
RESNET_BLOCKS = 3
RESNET_CHANNELS = RESNET_WIDTH * BOTTLENECK_EXPANSION
VGG_CHANNELS = 128


class Bottleneck(nn.Module):
    """Residual bottleneck 1x1, 3x3, 1x1 at stride 1: (B, n_in, h, w) to (B, 4 width, h, w).

    Source: He et al. 2016, arXiv 1512.03385, figure 5 right.
    """

    def __init__(self, n_in: int, width: int) -> None:
        super().__init__()
        n_out = width * BOTTLENECK_EXPANSION
        self.conv1 = nn.Conv2d(n_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, n_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Identity()
            if n_in == n_out
            else nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, n_in, h, w) to (B, 4 width, h, w), same dtype."""
        hidden = self.relu(self.bn1(self.conv1(maps)))
        hidden = self.relu(self.bn2(self.conv2(hidden)))
        result: Tensor = self.relu(self.bn3(self.conv3(hidden)) + self.downsample(maps))
        return result


class ResNetStage1(nn.Module):
    """Stem and first stage of ResNet-50: 256 channels at stride 4, receptive field 39 px with the deep stem.

    ResNet-101 and -152 have the same structure up to here; their files differ in values only.

    Source: DingH2E/LDMP-RENet-main @5b9e585 (deep stem of PSPNet; strides 1, 2, 2, 2, no dilation, trained, not
        frozen). We differ: the original also runs stages 2 and 3 and never uses them, here they do not exist; the
        plain 7x7 stem is our addition, so that torchvision's ImageNet weights fit.
    """

    n_channels = RESNET_CHANNELS

    def __init__(self, stem: Stem = "deep") -> None:
        super().__init__()
        self.stem_kind = stem
        self.stem = _deep_stem() if stem == "deep" else _plain_stem()
        n_stem = 2 * RESNET_WIDTH if stem == "deep" else RESNET_WIDTH
        widths_in = [n_stem] + [RESNET_CHANNELS] * (RESNET_BLOCKS - 1)
        self.stage1 = nn.Sequential(*(Bottleneck(n_in, RESNET_WIDTH) for n_in in widths_in))
        _initialise(self)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB (B, 3, H, W) float32, H and W multiples of 4, to one map (B, 256, H/4, W/4)."""
        return (self.stage1(self.stem(images)),)


class VggBlocks12(nn.Module):
    """First two blocks of VGG-16 with batch normalisation: 128 channels at stride 4.

    Source: DingH2E/LDMP-RENet-main @5b9e585, features[0:14] of vgg16_bn (both max-pools included).
    """

    n_channels = VGG_CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_conv_bn_relu(3, 64, bias=True),
            *_conv_bn_relu(64, 64, bias=True),
            nn.MaxPool2d(2),
            *_conv_bn_relu(64, VGG_CHANNELS, bias=True),
            *_conv_bn_relu(VGG_CHANNELS, VGG_CHANNELS, bias=True),
            nn.MaxPool2d(2),
        )
        _initialise(self)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Normalised RGB (B, 3, H, W) float32, H and W multiples of 4, to one map (B, 128, H/4, W/4)."""
        return (self.layers(images),)


def _conv_bn_relu(n_in: int, n_out: int, *, stride: int = 1, bias: bool = False) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=bias)
    return conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)


def _deep_stem() -> nn.Sequential:
    return nn.Sequential(
        *_conv_bn_relu(3, RESNET_WIDTH, stride=2),
        *_conv_bn_relu(RESNET_WIDTH, RESNET_WIDTH),
        *_conv_bn_relu(RESNET_WIDTH, 2 * RESNET_WIDTH),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _plain_stem() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, RESNET_WIDTH, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(RESNET_WIDTH),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _initialise(backbone: nn.Module) -> None:
    """The usual start of both families; it matters only when no ImageNet weights are loaded."""
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
