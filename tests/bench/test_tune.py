"""Settings are tried one by one, and recommended only where they gain something."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from builders import tiny_network
from lerenet.bench.bare import BareNetwork
from lerenet.bench.material import draw_shots
from lerenet.bench.tune import Trial, recommend, try_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = Trial(4, "float32", "channels last", 10.0, 8.0, 30.0)


@pytest.fixture(autouse=True)
def _restored_threads() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


def test_every_setting_is_measured_the_default_first() -> None:
    bare = BareNetwork.prepared(tiny_network(), draw_shots(1, 1), torch.device("cpu"))
    trials = list(try_settings(bare, 2, 0.0))
    settings = [(trial.threads, trial.precision, trial.layout) for trial in trials]
    assert settings[0] == (2, "float32", "channels last")
    assert len(set(settings)) == len(settings) == 8
    assert min(min(trial.single_ms, trial.batched_ms, trial.batched_cpu_ms) for trial in trials) > 0


def test_what_is_faster_is_recommended() -> None:
    half = replace(DEFAULT, threads=2, precision="bf16", batched_ms=6.0)
    assert recommend([DEFAULT, half]) == {"LERENET_THREADS": "2", "LERENET_PRECISION": "bf16"}


def test_defaults_stay_without_a_gain_worth_a_setting() -> None:
    slightly = replace(DEFAULT, threads=2, batched_ms=7.8)
    unsettable = replace(DEFAULT, layout="channels first", batched_ms=2.0)
    assert recommend([DEFAULT, slightly, unsettable]) == {}
