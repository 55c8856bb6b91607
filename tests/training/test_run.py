from dataclasses import replace
from pathlib import Path

import pytest

from lerenet.errors import ConfigurationError
from lerenet.training import TrainingConfig, train
from lerenet.training.loop import LAST_WEIGHTS

pytestmark = pytest.mark.usefixtures("_no_curves")

_CONFIG = TrainingConfig(
    network="tiny",
    size_px=64,
    n_episodes=1,
    n_images=3,
    steps=2,
    num_workers=0,
    validation_episodes=1,
    validation_images=3,
    device="cpu",
)


def test_train_makes_weights_from_plates(tmp_path: Path) -> None:
    outcome = train(_CONFIG, tmp_path / "run")
    assert (outcome.step, outcome.is_complete) == (2, True)
    assert (tmp_path / "run" / LAST_WEIGHTS).exists()


def test_train_starts_from_given_weights(tmp_path: Path) -> None:
    train(_CONFIG, tmp_path / "first")
    weights = str(tmp_path / "first" / LAST_WEIGHTS)
    config = replace(_CONFIG, init_weights=weights)
    assert train(config, tmp_path / "second").is_complete


def test_train_refuses_weights_of_another_network(tmp_path: Path) -> None:
    train(_CONFIG, tmp_path / "first")
    weights = str(tmp_path / "first" / LAST_WEIGHTS)
    config = replace(_CONFIG, init_weights=weights, network="metal")
    with pytest.raises(ConfigurationError, match="metal"):
        train(config, tmp_path / "second")
