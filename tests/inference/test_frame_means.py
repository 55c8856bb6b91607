"""Networks that relate an image to the mean of all its cells, on frames in tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from builders import tiny_network
from inference.fakes import CPU, Brightness, encoding_of, largest_difference
from lerenet.inference.mapmaker import Mapmaker
from lerenet.inference.runner import NetworkRunner
from lerenet.inference.segmenter import ClassEncoding, SegmentationJob, Segmenter
from lerenet.network import Features, SupportEncoding

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.imaging import Image


class Contrast(Brightness):
    """Finds what is brighter than the mean of its image, by the level of the class."""

    frame_means: tuple[str, ...] = ("mean",)

    def features(self, images: Tensor) -> Features:
        found = super().features(images)
        return Features(found.maps, found.size, {"mean": found.maps[0].mean((1, 2, 3))[:, None]})

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        mean = features.shared["mean"] if image_index is None else features.shared["mean"][image_index]
        return super().segment(features, SupportEncoding({"level": encoding.tensors["level"] + mean}), image_index)


def frame(size: tuple[int, int], seed: int = 0) -> Image:
    """Noise that is dark on the left and bright on the right, so that no tile has the mean of the whole."""
    noise = np.random.default_rng(seed).integers(-20, 20, size)
    return (noise + np.linspace(40, 200, size[1])).astype(np.uint8)


def job(image: Image) -> SegmentationJob:
    return SegmentationJob(image, (ClassEncoding(1.0, encoding_of(0.1)),))


def test_tiles_have_the_mean_of_their_frame() -> None:
    requests = [job(frame((300, 500))), job(255 - frame((300, 500))), job(frame((90, 100)))]
    whole = Segmenter(Contrast(), CPU, tile_px=1024).segment(requests)
    tiled = Segmenter(Contrast(), CPU, tile_px=128, overlap_px=32).segment(requests)
    assert largest_difference([q for (q,) in whole], [q for (q,) in tiled]) <= 4


def test_without_it_the_cut_would_decide() -> None:
    class Local(Contrast):
        frame_means = ()

    (whole,) = Segmenter(Contrast(), CPU, tile_px=1024).segment([job(frame((300, 500)))])
    (tiled,) = Segmenter(Local(), CPU, tile_px=128, overlap_px=32).segment([job(frame((300, 500)))])
    assert largest_difference(whole, tiled) > 100


@pytest.mark.parametrize("n_kept_tiles", [0, 3])
def test_features_past_the_bound_are_computed_again(n_kept_tiles: int) -> None:
    network = Contrast()
    segmenter = Segmenter(network, CPU, tile_px=128, overlap_px=32, max_batch_pixels=128 * 128)
    expected = segmenter.segment([job(frame((300, 500)))])
    n_tiles = len(network.batches)

    runner = NetworkRunner(network, CPU, precision="float32", max_batch_pixels=128 * 128, on_progress=lambda: None)
    prepared = segmenter.prepare([job(frame((300, 500)))])
    (size,) = {batch[2:] for batch in network.batches}
    one_tile = network.features(torch.zeros(1, 3, *size)).n_bytes
    network.batches.clear()
    answered = Mapmaker(runner, network.frame_means, max_kept_bytes=n_kept_tiles * one_tile).fill(prepared)

    assert len(network.batches) == 2 * n_tiles - n_kept_tiles
    assert largest_difference(answered[0], expected[0]) == 0


def test_metal_network_names_terms_that_it_computes() -> None:
    network = tiny_network()
    computed = network.features(torch.zeros(1, 3, 64, 64)).shared
    assert network.frame_means
    assert set(network.frame_means) <= set(computed)
