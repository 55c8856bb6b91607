"""What a precision means on a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerenet.bench.material import draw_frames, draw_shots
from lerenet.inference.precision import Precision, SettledPrecision, numerics, settled_precision
from lerenet.inference.segmenter import SegmentationJob, Segmenter
from lerenet.network.weights import load_weights, shipped_weights


@pytest.mark.parametrize(
    ("asked", "on_cpu", "on_cuda"),
    [
        ("auto", "float32", "tf32"),
        ("tf32", "float32", "tf32"),
        ("float32", "float32", "float32"),
        ("bf16", "bf16", "bf16"),
    ],
)
def test_what_is_settled(asked: Precision, on_cpu: SettledPrecision, on_cuda: SettledPrecision) -> None:
    assert settled_precision(asked, torch.device("cpu")) == on_cpu
    assert settled_precision(asked, torch.device("cuda")) == on_cuda


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_convolutions_are_rounded_on_cuda_in_tf32_alone(
    precision: SettledPrecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # as torch starts, and put back afterwards
    with numerics(precision, torch.device("cuda")):
        assert torch.backends.cudnn.allow_tf32 == (precision == "tf32")
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.is_autocast_enabled("cuda")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_bf16_is_cast_to_on_the_way(precision: SettledPrecision) -> None:
    with numerics(precision, torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tf32_finds_what_float32_finds() -> None:
    device = torch.device("cuda")
    network = load_weights(shipped_weights(), device)
    exact, rounded = (Segmenter(network, device, precision=precision) for precision in ("float32", "tf32"))
    [shots] = draw_shots(1, 5)
    found = exact.encode(shots)
    threshold = 255 * exact.assess(shots, (), found).threshold
    jobs = [SegmentationJob(frame, (found,)) for frame in draw_frames(200, 200)]
    masks = [np.stack([q for [q] in each.segment(jobs)]) >= threshold for each in (exact, rounded)]
    assert (masks[0] & masks[1]).sum() >= 0.995 * (masks[0] | masks[1]).sum()
