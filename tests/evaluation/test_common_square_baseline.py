from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import tiny_network
from lerenet.evaluation.baselines import CommonSquare, build_peer, on_any_image
from lerenet.imaging import Image, Shot
from lerenet.inference.segmenter import SegmentationJob, Segmenter
from lerenet.network import LERENet
from lerenet.network.config import tiny

CPU = torch.device("cpu")


def plate(height: int, width: int) -> Shot:
    image: Image = np.full((height, width), 90, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    image[mask == 1] = 220
    return Shot(image, mask)


def paper() -> LERENet:
    torch.manual_seed(0)
    return build_peer("paper-vgg16").eval()


def test_paper_network_alone_refuses_support_and_query_of_two_sizes() -> None:
    segmenter = Segmenter(paper(), CPU)
    encoding = segmenter.encode([plate(64, 96)])
    with pytest.raises(ValueError, match="one size"):
        segmenter.segment([SegmentationJob(plate(80, 64).image, (encoding,))])


@pytest.mark.parametrize("name", ["paper-vgg16", "tgrnet"])
def test_locked_networks_segment_folders_of_mixed_sizes(name: str) -> None:
    torch.manual_seed(0)
    network = on_any_image(name, build_peer(name, tiny()).eval(), 100)
    segmenter = Segmenter(network, CPU)
    encoding = segmenter.encode([plate(64, 96), plate(120, 70)], [plate(90, 90).image])
    sizes = [(80, 64), (50, 130), (112, 112)]
    answers = segmenter.segment([SegmentationJob(plate(*size).image, (encoding,)) for size in sizes])
    assert [answer[0].shape for answer in answers] == sizes


@torch.inference_mode()
def test_square_image_of_the_right_side_passes_unchanged() -> None:
    network = paper()
    square = CommonSquare(network, 64)
    images, masks = torch.rand(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[:, 10:30, 10:30] = 1
    expected = network.segment(
        network.features(images), network.summarise(network.features(images), masks, torch.tensor([[0], [1]]))
    )
    features = square.features(images)
    found = square.segment(features, square.summarise(features, masks, torch.tensor([[0], [1]])))
    torch.testing.assert_close(found, expected)


@torch.inference_mode()
def test_padding_of_a_support_mask_is_ignored() -> None:
    seen: list[torch.Tensor] = []

    class Spy(CommonSquare):
        def _padded(self, maps: torch.Tensor, value: float) -> torch.Tensor:
            seen.append(super()._padded(maps, value))
            return seen[-1]

    square = Spy(paper(), 64)
    features = square.features(torch.rand(1, 3, 32, 128))
    square.summarise(features, torch.ones(1, 32, 128, dtype=torch.uint8), torch.tensor([[0]]))
    image, mask = seen
    assert (image[..., 16:, :] == 0).all()
    assert (mask[0, :16] == 1).all()
    assert (mask[0, 16:] == 255).all()


def test_networks_free_of_positions_stay_as_they_are() -> None:
    network = tiny_network()
    assert on_any_image("metal", network, 200) is network


def test_square_follows_the_stride() -> None:
    wrapped = on_any_image("tgrnet", build_peer("tgrnet", tiny()).eval(), 200)
    assert isinstance(wrapped, CommonSquare)
    assert wrapped.side_px == 208
    with pytest.raises(ValueError, match="round it"):
        CommonSquare(tiny_network(), 200)
