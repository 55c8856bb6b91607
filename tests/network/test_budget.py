"""What the shipped network may cost: design, section 3."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL

SIZE_PX = 208  # 200 px, padded to the network's stride
MOST_SHARED_GMAC = 5.0
MOST_PER_CLASS = 0.2


class Cost(NamedTuple):
    shared_gmac: float
    class_gmac: float
    encoding_bytes: tuple[int, ...]


@pytest.fixture(scope="module")
def cost() -> Cost:
    """Multiply-accumulates of one image and of one class on it, and the encoding's size for 1 and 3 shots."""
    network = build_lerenet(METAL).eval()
    masks = torch.zeros(3, SIZE_PX, SIZE_PX, dtype=torch.uint8)
    masks[:, 60:90, 60:90] = 1
    with torch.no_grad():
        with FlopCounterMode(display=False) as shared:
            features = network.features(torch.rand(1, 3, SIZE_PX, SIZE_PX))
        shots = features.select(torch.zeros(3, dtype=torch.long))
        encodings = [network.summarise(shots, masks, torch.arange(k)[None]) for k in (1, 3)]
        with FlopCounterMode(display=False) as per_class:
            network.segment(features, encodings[0])
    n_bytes = tuple(sum(tensor.nbytes for tensor in e.tensors.values()) for e in encodings)
    return Cost(shared.get_total_flops() / 2e9, per_class.get_total_flops() / 2e9, n_bytes)


def test_shared_part_stays_within_its_budget(cost: Cost) -> None:
    # The lower bound shows that the counter has counted.
    assert 0.5 < cost.shared_gmac <= MOST_SHARED_GMAC


def test_part_per_class_stays_within_its_share(cost: Cost) -> None:
    assert 0.05 < cost.class_gmac / cost.shared_gmac <= MOST_PER_CLASS


def test_encoding_has_one_size_for_any_number_of_shots(cost: Cost) -> None:
    one_shot, three_shots = cost.encoding_bytes
    assert one_shot == three_shots


def test_encoding_fits_a_thousand_classes_in_one_gibibyte(cost: Cost) -> None:
    assert 1000 * cost.encoding_bytes[0] < 2**30
