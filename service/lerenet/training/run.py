"""Puts a run together from its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from lerenet.errors import ConfigurationError
from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL, PAPER_RESNET, PAPER_VGG, tiny
from lerenet.network.weights import load_weights
from lerenet.training.episodes import SyntheticEpisodes
from lerenet.training.loop import TrainingRun
from lerenet.training.validation import HeldOutPlates

if TYPE_CHECKING:
    from lerenet.network.config import NetworkConfig
    from lerenet.network.lerenet import LERENet
    from lerenet.training.config import TrainingConfig
    from lerenet.training.loop import Outcome


def train(config: TrainingConfig, run_dir: Path, *, resume: bool = True) -> Outcome:
    """Trains a network on synthetic plates, from start or last checkpoint to end or stop signal.

    Args:
        config: Of the run.
        run_dir: Receives `config.toml`, `origin.json`, `history.jsonl`, `curves.png`, `checkpoints/`,
            `weights-best.safetensors` and `weights-last.safetensors`.
        resume: Go on with the run in `run_dir` if there is one; otherwise such a folder is refused.

    Raises:
        ConfigurationError: The folder holds another run, the device is missing, or the loss stays not finite.
        WeightsError: `init_weights` cannot be loaded or belongs to another network.
    """
    device = _choose_device(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    run = TrainingRun(
        config,
        run_dir,
        network=_build_network(config, device),
        source=_training_plates(config, device),
        held_out=HeldOutPlates(_validation_plates(config, device), config),
        device=device,
        resume=resume,
    )
    return run.fit()


def _choose_device(config: TrainingConfig) -> torch.device:
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("device is 'cuda', but torch finds none; use 'cpu' or 'auto'")
    return torch.device(config.device)


def _build_network(config: TrainingConfig, device: torch.device) -> LERENet:
    wanted = _network_config(config)
    if not config.init_weights:
        return build_lerenet(wanted)
    network = load_weights(Path(config.init_weights), device)
    if network.config != wanted:
        raise ConfigurationError(
            f"{config.init_weights} is not of the network {config.network!r} that is to be trained"
        )
    return network


def _network_config(config: TrainingConfig) -> NetworkConfig:
    if config.network == "tiny":
        return tiny()
    return {"metal": METAL, "paper-resnet50": PAPER_RESNET, "paper-vgg16": PAPER_VGG}[config.network]


def _training_plates(config: TrainingConfig, device: torch.device) -> SyntheticEpisodes:
    return SyntheticEpisodes(
        seed=config.seed,
        size_px=config.size_px,
        n_images=config.n_images,
        n_episodes=config.n_episodes,
        # Worker processes leave the accelerator to the network.
        device=torch.device("cpu") if config.num_workers else device,
    )


def _validation_plates(config: TrainingConfig, device: torch.device) -> SyntheticEpisodes:
    return SyntheticEpisodes(
        seed=config.validation_seed,
        size_px=config.size_px,
        n_images=config.validation_images,
        n_episodes=1,
        device=device,
    )
