from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import LevelSegmenter, engine_with
from lerenet.errors import ConfigurationError, WeightsError
from lerenet.imaging import Shot
from lerenet.network import weights_digest
from lerenet.observability import Metrics
from lerenet.runtime.device_queue import DeviceQueue
from lerenet.runtime.engine import BATCH_PIXELS, build_engine, device_memory_bytes
from lerenet.settings import Settings


@pytest.fixture(autouse=True)
def _restored_threads() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


def test_an_engine_says_what_it_runs(settings: Settings, tiny_weights: Path) -> None:
    engine = build_engine(settings)

    assert engine.weights_digest == weights_digest(tiny_weights)
    assert (engine.device, engine.precision, engine.facts["preset"]) == ("cpu", "float32", "metal")
    assert engine.max_batch_pixels == BATCH_PIXELS["cpu"]


def test_the_precision_is_part_of_what_names_an_encoding(make_settings: Callable[..., Settings]) -> None:
    full, half = (build_engine(make_settings(precision=precision)) for precision in ("float32", "bf16"))

    assert full.weights_digest == half.weights_digest
    assert full.encoding_digest != half.encoding_digest


def test_threads_are_those_of_the_settings(make_settings: Callable[..., Settings]) -> None:
    build_engine(make_settings(threads=2))

    assert torch.get_num_threads() == 2


def test_weights_that_are_none_are_refused(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("not weights")

    with pytest.raises(WeightsError, match=r"text\.safetensors"):
        build_engine(make_settings(weights=path))


def test_weights_other_than_expected_are_not_loaded(make_settings: Callable[..., Settings], tiny_weights: Path) -> None:
    digest = weights_digest(tiny_weights)
    other = "0" * 64

    assert build_engine(make_settings(weights_sha256=digest)).weights_digest == digest
    with pytest.raises(WeightsError, match=f"{digest} and should have {other}"):
        build_engine(make_settings(weights_sha256=other))


def test_weights_are_held_to_the_manifest_beside_them(
    make_settings: Callable[..., Settings], tiny_weights: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(tiny_weights.read_bytes())
    manifest = '[[weights]]\nfile = "{}"\nsha256 = "{}"\nbytes = 1\npreset = "metal"\ninput = ""\nmade = ""\n'

    (tmp_path / "manifest.toml").write_text(manifest.format("mine.safetensors", "0" * 64))
    with pytest.raises(WeightsError, match="should have 000"):
        build_engine(make_settings(weights=path))

    (tmp_path / "manifest.toml").write_text(manifest.format("others.safetensors", "0" * 64))
    assert build_engine(make_settings(weights=path)).weights_digest == weights_digest(path)


def test_a_device_that_is_not_there_is_refused(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="cuda:99"):
        build_engine(make_settings(device="cuda:99"))


def test_graphs_without_a_cuda_device_are_refused(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigurationError, match="needs a CUDA device"):
        build_engine(make_settings(device="cpu", acceleration="cuda_graphs"))


def test_a_cpu_has_no_device_memory() -> None:
    if not torch.cuda.is_initialized():
        assert device_memory_bytes() == {}


def test_a_segmenter_gives_signs_of_life(settings: Settings) -> None:
    engine = build_engine(settings)
    image = np.full((32, 32), 90, np.uint8)
    beats: list[int] = []
    engine.heartbeat.listener = lambda: beats.append(1)

    engine.segmenter.encode_unfitted([Shot(image, np.ones_like(image))])

    assert beats


async def test_a_sign_of_life_ends_a_stall(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(stall_s=0.01)
    engine = engine_with(LevelSegmenter())(settings)
    queue = DeviceQueue(engine, settings, Metrics(), lambda error: None)

    def long_run() -> tuple[bool, bool]:
        time.sleep(0.05)
        before = queue.stalled
        engine.heartbeat()
        return before, queue.stalled

    try:
        assert await queue.call(long_run) == (True, False)
    finally:
        queue.close(1.0)
