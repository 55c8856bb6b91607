"""The parts that every kind of run is put together from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lerenet.errors import ConfigurationError
from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL, PAPER_RESNET, PAPER_VGG, tiny
from lerenet.network.weights import load_weights
from lerenet.training.episodes import SyntheticEpisodes

if TYPE_CHECKING:
    from lerenet.network.config import NetworkConfig
    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import NetworkName, TrainingConfig


def prepare_device(config: TrainingConfig) -> torch.device:
    """The device of a run, with threads and seed set as it says.

    Raises:
        ConfigurationError: There is no such device.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("device is 'cuda', but torch finds none; use 'cpu' or 'auto'")
    return torch.device(config.device)


def build_network(config: TrainingConfig, device: torch.device) -> LERENet:
    """The network of a run with its initial weights.

    Raises:
        ConfigurationError: `init_weights` are of another network.
        WeightsError: They cannot be loaded.
    """
    wanted = network_config(config.network)
    if not config.init_weights:
        return build_lerenet(wanted)
    network = load_weights(Path(config.init_weights), device)
    if network.config != wanted:
        raise ConfigurationError(
            f"{config.init_weights} is not of the network {config.network!r} that is to be trained"
        )
    network.confidence = None  # it was fitted to the weights as they were
    return network


def network_config(name: NetworkName) -> NetworkConfig:
    """The structure that a name stands for."""
    if name == "tiny":
        return tiny()
    return {"metal": METAL, "paper-resnet50": PAPER_RESNET, "paper-vgg16": PAPER_VGG}[name]


def training_plates(config: TrainingConfig, device: torch.device) -> SyntheticEpisodes:
    """The synthetic batches that a run learns from."""
    return SyntheticEpisodes(
        seed=config.seed,
        size_px=config.size_px,
        n_images=config.n_images,
        n_episodes=config.n_episodes,
        # Worker processes leave the accelerator to the network.
        device=torch.device("cpu") if config.num_workers else device,
    )


def validation_plates(config: TrainingConfig, device: torch.device) -> SyntheticEpisodes:
    """The held-out synthetic episodes, one a batch."""
    return SyntheticEpisodes(
        seed=config.validation_seed,
        size_px=config.size_px,
        n_images=config.validation_images,
        n_episodes=1,
        device=device,
    )
