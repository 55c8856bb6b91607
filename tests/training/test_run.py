from dataclasses import replace
from pathlib import Path

import pytest

from lerenet.errors import ConfigurationError
from lerenet.network.weights import load_weights, save_confidence
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


def test_a_calibration_does_not_outlive_the_weights_it_was_fitted_to(tmp_path: Path) -> None:
    train(_CONFIG, tmp_path / "first")
    calibrated = tmp_path / "calibrated.safetensors"
    save_confidence(tmp_path / "first" / LAST_WEIGHTS, calibrated, (0.1, 0.2, 0.3))
    train(replace(_CONFIG, init_weights=str(calibrated)), tmp_path / "second")
    assert load_weights(calibrated).confidence == (0.1, 0.2, 0.3)
    assert load_weights(tmp_path / "second" / LAST_WEIGHTS).confidence is None


def test_train_refuses_weights_of_another_network(tmp_path: Path) -> None:
    train(_CONFIG, tmp_path / "first")
    weights = str(tmp_path / "first" / LAST_WEIGHTS)
    config = replace(_CONFIG, init_weights=weights, network="metal")
    with pytest.raises(ConfigurationError, match="metal"):
        train(config, tmp_path / "second")
