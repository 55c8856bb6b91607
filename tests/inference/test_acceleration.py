"""Recordings stand for what they were made of, on the CPU by a stand-in, on CUDA by the real thing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import torch

from builders import plate_pairs, tiny_network
from inference.fakes import Brightness
from lerenet.inference.acceleration import MAX_RECORDED_PIXELS, RecordedCalls, accelerated, settled_acceleration
from lerenet.inference.precision import numerics
from lerenet.inference.recordings import BUCKETS, MAX_KEPT, SEEN_BEFORE
from lerenet.inference.segmenter import Segmenter
from lerenet.network import Features, SupportEncoding

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.inference.recordings import Function, Size, Tensors
    from lerenet.network import LERENet

CPU = torch.device("cpu")


@dataclass(eq=False)
class Recording:
    """Does what a graph does: reads and writes in one place."""

    function: Function
    inputs: Tensors
    size: Size
    outputs: Tensors
    n_replays: int = 0

    def replay(self) -> None:
        self.n_replays += 1
        for name, fresh in self.function(self.inputs, self.size).items():
            self.outputs[name].copy_(fresh)


@dataclass(eq=False)
class Recorder:
    """Remembers what was recorded."""

    recorded: list[Recording] = field(default_factory=list)

    def __call__(self, function: Function, inputs: Tensors, size: Size) -> Recording:
        outputs = {name: each.clone() for name, each in function(inputs, size).items()}
        self.recorded.append(Recording(function, inputs, size, outputs))
        return self.recorded[-1]


def images(n: int, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def classes_of(network: LERENet, n: int) -> list[SupportEncoding]:
    segmenter = Segmenter(network, CPU)
    return [segmenter.encode_unfitted([shot]).encoding for shot in plate_pairs(n)]


def assert_alike(found: Features, expected: Features) -> None:
    assert found.size == expected.size
    assert found.shared.keys() == expected.shared.keys()
    for one, other in zip(
        (*found.maps, *found.shared.values()), (*expected.maps, *expected.shared.values()), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_shape_that_keeps_coming_is_recorded_and_answers_the_same() -> None:
    network, recorder = tiny_network(), Recorder()
    recorded = RecordedCalls(network, recorder)
    for seed in range(SEEN_BEFORE + 3):
        batch = images(2, seed=seed)
        assert_alike(recorded.features(batch), network.features(batch))
    assert [each.n_replays for each in recorder.recorded] == [3]


@torch.inference_mode()
def test_pairs_are_recorded_and_answer_the_same() -> None:
    network, recorder = tiny_network(), Recorder()
    recorded, plain = RecordedCalls(network, recorder), accelerated(network, "none")
    one, other, third = classes_of(network, 3)
    wanted: list[tuple[list[SupportEncoding], list[int] | None]] = [
        *[([one, one], None)] * (SEEN_BEFORE + 1),
        ([one, one], None),
        ([one, other], None),
        ([third, other], None),
        *[([one, other, one, third, one], [0, 0, 1, 1, 2])] * (SEEN_BEFORE + 1),
        ([one, other, one, third, third], [2, 0, 1, 1, 0]),
    ]
    for seed, (classes, places) in enumerate(wanted):
        features = network.features(images(2 if places is None else 3, seed=seed))
        index = None if places is None else torch.tensor(places)
        found, expected = (calls.logits(features, classes, index) for calls in (recorded, plain))
        torch.testing.assert_close(found, expected)
    assert [each.n_replays for each in recorder.recorded] == [4, 2]


@torch.inference_mode()
def test_prototypes_are_copied_when_they_are_others_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    recorded = RecordedCalls(network, Recorder())
    one, other = classes_of(network, 2)
    features = network.features(images(2))
    for _ in range(SEEN_BEFORE + 1):
        recorded.logits(features, [one, one], None)
    stacked: list[int] = []
    stack = SupportEncoding.stack

    def counted(classes: list[SupportEncoding]) -> SupportEncoding:
        stacked.append(len(classes))
        return stack(classes)

    monkeypatch.setattr(SupportEncoding, "stack", counted)
    n_stacked = []
    for classes in ([one, one], [one, other], [one, other], [one, one]):
        stacked.clear()
        recorded.logits(features, classes, None)
        n_stacked.append(len(stacked))
    assert n_stacked == [1, 2, 1, 2]  # once for the shapes, which copies nothing


@torch.inference_mode()
def test_batches_in_between_fill_the_next_bucket() -> None:
    network, recorder = tiny_network(), Recorder()
    recorded = RecordedCalls(network, recorder)
    for n in (5, 6, 5, 6, 5):
        found = recorded.features(images(n, seed=n))
        assert len(found) == n
        assert_alike(found, network.features(images(n, seed=n)))
    assert [len(each.inputs["images"]) for each in recorder.recorded] == [6]


@torch.inference_mode()
def test_what_was_given_back_stays_as_it_was() -> None:
    recorded = RecordedCalls(Brightness(), Recorder())
    for _ in range(SEEN_BEFORE):
        recorded.features(images(1))
    first = recorded.features(images(1, seed=1)).maps[0]
    kept = first.clone()
    recorded.features(images(1, seed=2))
    torch.testing.assert_close(first, kept)


@torch.inference_mode()
def test_only_so_many_are_kept_and_all_can_be_forgotten() -> None:
    recorder = Recorder()
    recorded = RecordedCalls(Brightness(), recorder)
    sides = [16 * n for n in range(1, MAX_KEPT + 3)]
    for side in sides:
        for _ in range(SEEN_BEFORE + 1):
            recorded.features(images(1, side))
    assert len(recorder.recorded) == len(sides)
    recorded.features(images(1, sides[-1]))  # still there
    recorded.features(images(1, sides[0]))  # forgotten, and counted anew
    assert len(recorder.recorded) == len(sides)
    recorded.forget()
    recorded.features(images(1, sides[-1]))
    assert [each.n_replays for each in recorder.recorded] == [1] * (len(sides) - 1) + [2]


@pytest.mark.parametrize("batch", [(BUCKETS[-1] + 1, 16), (1, 16 * (1 + int(MAX_RECORDED_PIXELS**0.5) // 16))])
@torch.inference_mode()
def test_large_batches_run_as_they_are(batch: tuple[int, int]) -> None:
    recorder = Recorder()
    recorded = RecordedCalls(Brightness(), recorder)
    for _ in range(SEEN_BEFORE + 2):
        assert len(recorded.features(images(*batch))) == batch[0]
    assert not recorder.recorded


def test_gradients_flow_as_without_recordings() -> None:
    recorder = Recorder()
    recorded = RecordedCalls(Brightness(), recorder)
    for _ in range(SEEN_BEFORE + 2):
        assert not recorded.features(images(1)).maps[0].is_inference()
    assert not recorder.recorded


def test_compiled_code_is_for_inference_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = Features((torch.zeros(1, 1, 2, 2),), (2, 2), {})
    monkeypatch.setattr(torch, "compile", lambda extract: lambda images: compiled)
    calls = accelerated(Brightness(), "compile")
    with torch.inference_mode():
        assert calls.features(images(1)) is compiled
    assert calls.features(images(1)) is not compiled


def test_what_auto_means() -> None:
    assert settled_acceleration("auto", CPU) == "none"
    assert settled_acceleration("auto", torch.device("cuda")) == "cuda_graphs"
    assert settled_acceleration("compile", CPU) == "compile"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@torch.inference_mode()
def test_graphs_on_cuda_answer_the_same() -> None:
    device = torch.device("cuda")
    network = tiny_network()
    classes = [each.to(device) for each in classes_of(network, 3)]
    network = network.to(device)
    recorded, plain = accelerated(network, "cuda_graphs"), accelerated(network, "none")
    for seed in range(2 * (SEEN_BEFORE + 2)):
        batch = images(3, 64, seed).to(device, memory_format=torch.channels_last)
        some = [classes[(seed + place) % 3] for place in range(3)]
        with numerics("float32", device):
            features = recorded.features(batch)
            assert_alike(features, network.features(batch))
            torch.testing.assert_close(
                recorded.logits(features, some, None), plain.logits(features, some, None), atol=1e-4, rtol=1e-4
            )
