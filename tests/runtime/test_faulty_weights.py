"""Weights that cannot serve are refused before the service is ready, by name and with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from lerenet.errors import WeightsError
from lerenet.network.config import NetworkConfig
from lerenet.runtime.engine import build_engine
from lerenet.settings import Settings


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_truncated_weights_are_refused(
    make_settings: Callable[..., Settings], tiny_weights: Path, tmp_path: Path, part: float
) -> None:
    whole = tiny_weights.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(WeightsError, match=r"cut\.safetensors"):
        build_engine(make_settings(weights=path))


def test_weights_of_another_preset_than_they_say_are_refused(
    make_settings: Callable[..., Settings], tiny_weights: Path, tmp_path: Path
) -> None:
    with safe_open(tiny_weights, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    path = tmp_path / "wrong.safetensors"
    save_file(tensors, path, {"config": json.dumps(asdict(NetworkConfig(preset="paper")))})
    with pytest.raises(WeightsError, match="do not fit"):
        build_engine(make_settings(weights=path))
