"""Graphs stand for what they were recorded of, on the CPU by a stand-in, on CUDA by the real thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from builders import tiny_network
from inference.fakes import Brightness
from lerenet.inference.acceleration import BUCKETS, MAX_GRAPHS, SEEN_BEFORE, GraphedFeatures, accelerated
from lerenet.network import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


@dataclass
class Recording:
    """Does what a graph does: reads and writes in one place."""

    extract: Callable[[Tensor], Features]
    images: Tensor
    features: Features
    n_replays: int = 0

    def replay(self) -> None:
        self.n_replays += 1
        fresh = self.extract(self.images)
        for old, new in zip(self.features.maps, fresh.maps, strict=True):
            old.copy_(new)


class Recorder:
    """Remembers what was recorded."""

    def __init__(self) -> None:
        self.recorded: list[Recording] = []

    def __call__(self, extract: Callable[[Tensor], Features], images: Tensor) -> Recording:
        self.recorded.append(Recording(extract, images.clone(), extract(images)))
        return self.recorded[-1]


def images(n: int, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def test_a_shape_that_keeps_coming_is_recorded_and_answers_the_same() -> None:
    network, recorder = Brightness(), Recorder()
    graphed = GraphedFeatures(network.features, recorder)
    for seed in range(SEEN_BEFORE + 3):
        batch = images(2, seed=seed)
        torch.testing.assert_close(graphed(batch).maps[0], network.features(batch).maps[0])
    assert [each.n_replays for each in recorder.recorded] == [3]


@torch.inference_mode()
def test_batches_in_between_fill_the_next_bucket() -> None:
    network, recorder = Brightness(), Recorder()
    graphed = GraphedFeatures(network.features, recorder)
    for n in (5, 6, 5, 6, 5):
        found = graphed(images(n, seed=n))
        assert len(found) == n
        torch.testing.assert_close(found.maps[0], network.features(images(n, seed=n)).maps[0])
    assert [len(each.images) for each in recorder.recorded] == [6]


@torch.inference_mode()
def test_what_was_given_back_stays_as_it_was() -> None:
    graphed = GraphedFeatures(Brightness().features, Recorder())
    for _ in range(SEEN_BEFORE):
        graphed(images(1))
    first = graphed(images(1, seed=1)).maps[0]
    kept = first.clone()
    graphed(images(1, seed=2))
    torch.testing.assert_close(first, kept)


@torch.inference_mode()
def test_only_so_many_graphs_are_kept() -> None:
    recorder = Recorder()
    graphed = GraphedFeatures(Brightness().features, recorder)
    sides = [16 * n for n in range(1, MAX_GRAPHS + 3)]
    for side in sides:
        for _ in range(SEEN_BEFORE + 1):
            graphed(images(1, side))
    assert len(recorder.recorded) == len(sides)
    graphed(images(1, sides[-1]))  # still there
    graphed(images(1, sides[0]))  # forgotten, and counted anew
    assert len(recorder.recorded) == len(sides)


@torch.inference_mode()
def test_batches_past_the_largest_bucket_run_as_they_are() -> None:
    recorder = Recorder()
    graphed = GraphedFeatures(Brightness().features, recorder)
    for _ in range(SEEN_BEFORE + 2):
        assert len(graphed(images(BUCKETS[-1] + 1, 16))) == BUCKETS[-1] + 1
    assert not recorder.recorded


def test_compiled_code_is_for_inference_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Features((torch.zeros(1, 1, 2, 2),), (2, 2), {})
    monkeypatch.setattr(torch, "compile", lambda extract: lambda images: compiled)
    network = Brightness()
    extract = accelerated(network.features, "compile")
    with torch.inference_mode():
        assert extract(images(1)) is compiled
    assert extract(images(1)) is not compiled
    assert accelerated(network.features, "none") == network.features


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@torch.inference_mode()
def test_graphs_on_cuda_answer_the_same() -> None:
    """Has not run on a GPU yet."""
    device = torch.device("cuda")
    network = tiny_network().to(device)
    graphed = accelerated(network.features, "cuda_graphs")
    for seed in range(SEEN_BEFORE + 3):
        batch = images(3, 64, seed).to(device)
        found, expected = graphed(batch), network.features(batch)
        for one, other in zip(found.maps, expected.maps, strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
