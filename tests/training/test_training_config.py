from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lerenet.errors import ConfigurationError
from lerenet.training.config import TrainingConfig


def test_config_survives_its_own_toml(tmp_path: Path) -> None:
    config = TrainingConfig(network="tiny", learning_rate=1e-5, init_weights='a "b" \\ c', steps=0, max_hours=1.5)
    (tmp_path / "config.toml").write_text(config.to_toml(), encoding="utf-8")
    assert TrainingConfig.from_toml(tmp_path / "config.toml") == config


def test_config_takes_differences_from_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("steps = 10\nprecision = 'float32'\n", encoding="utf-8")
    assert TrainingConfig.from_toml(tmp_path / "a.toml") == TrainingConfig(steps=10, precision="float32")


def test_config_prefers_overrides_to_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("steps = 10\nseed = 3\n", encoding="utf-8")
    assert TrainingConfig.from_toml(tmp_path / "a.toml", steps=20) == TrainingConfig(steps=20, seed=3)


def test_config_refuses_an_unknown_key(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("stepz = 10\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="stepz"):
        TrainingConfig.from_toml(tmp_path / "a.toml")


@pytest.mark.parametrize("text", [None, "steps = ", "\udcff"])
def test_config_refuses_a_file_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.toml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=r"a\.toml"):
        TrainingConfig.from_toml(path)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"steps": "many"}, "steps"),
        ({"steps": 1.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": 0}, "steps and max_hours"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"precision": "fp8"}, "precision"),
        ({"network": "unet"}, "network"),
        ({"n_images": 1}, "n_images"),
        ({"n_episodes": 0}, "n_episodes"),
        ({"size_px": 100}, "size_px"),
        ({"warmup": 1.0}, "warmup"),
        ({"seed": 5, "validation_seed": 5}, "validation_seed"),
    ],
)
def test_config_refuses_an_impossible_value(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        TrainingConfig(**values)


def test_config_may_be_resumed_when_only_its_length_differs() -> None:
    config = TrainingConfig(steps=100)
    replace(config, steps=200, num_workers=2).check_resumes(config)


def test_config_may_not_be_resumed_when_the_data_differ() -> None:
    config = TrainingConfig(seed=1)
    with pytest.raises(ConfigurationError, match="seed 1 -> 2"):
        replace(config, seed=2).check_resumes(config)
