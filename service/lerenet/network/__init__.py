"""The network: pure torch, tensors in and tensors out; only `weights` and `paper.pretrained` touch files."""

from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL, PAPER_RESNET, PAPER_VGG, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.lerenet import IGNORE_INDEX, LERENet, foreground_logit
from lerenet.network.weights import load_weights, save_weights, weights_digest

__all__ = [
    "IGNORE_INDEX",
    "METAL",
    "PAPER_RESNET",
    "PAPER_VGG",
    "Features",
    "LERENet",
    "NetworkConfig",
    "SupportEncoding",
    "build_lerenet",
    "foreground_logit",
    "load_weights",
    "save_weights",
    "weights_digest",
]
