from __future__ import annotations

import pytest
import torch
from torch import Tensor

from builders import tiny_network
from lerenet.errors import ConfigurationError
from lerenet.evaluation.baselines import DenseMatching, PooledPrototypes
from lerenet.evaluation.baselines.comparison import CosineComparison
from lerenet.network import PAPER_VGG, SupportEncoding, build_lerenet
from lerenet.network.metal.names import BACKGROUND, FOREGROUND, background_bank, foreground_bank

SIDE_PX = 64

both = pytest.mark.parametrize("kind", [PooledPrototypes, DenseMatching])


def plates(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images (n, 3, H, W) of dark noise with a bright square each, and masks (n, H, W) of the squares."""
    noise = torch.rand(n, 1, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(seed))
    masks = torch.zeros(n, SIDE_PX, SIDE_PX)
    for i in range(n):
        masks[i, 8 + 4 * i : 32 + 4 * i, 16:40] = 1
    return (0.2 * noise + 0.7 * masks[:, None]).expand(-1, 3, -1, -1), masks


def encode(method: CosineComparison, images: Tensor, masks: Tensor) -> SupportEncoding:
    """One class of all the images."""
    return method.summarise(method.features(images), masks, torch.arange(len(masks))[None])


@both
@torch.inference_mode()
def test_defect_scores_above_its_surroundings(kind: type[PooledPrototypes | DenseMatching]) -> None:
    method = kind(tiny_network())
    images, masks = plates(1)
    logits = method.segment(method.features(images), encode(method, images, masks))
    score = (logits[0, 1] - logits[0, 0]).float()
    assert logits.shape == (1, 2, SIDE_PX, SIDE_PX)
    assert score[masks[0] > 0].mean() > score[masks[0] == 0].mean()


@both
@torch.inference_mode()
def test_pairs_by_index_are_the_same_as_one_by_one(kind: type[PooledPrototypes | DenseMatching]) -> None:
    method = kind(tiny_network())
    images, masks = plates(3)
    features = method.features(images)
    classes = [encode(method, images[i : i + 1], masks[i : i + 1]) for i in range(3)]
    index = [2, 0, 2, 1]
    chosen = [1, 0, 2, 2]
    batched = method.segment(features, SupportEncoding.stack([classes[c] for c in chosen]), torch.tensor(index))
    single = [
        method.segment(method.features(images[i : i + 1]), classes[c]) for i, c in zip(index, chosen, strict=True)
    ]
    torch.testing.assert_close(batched, torch.cat(single), atol=1e-4, rtol=1e-4)


@both
@torch.inference_mode()
def test_order_of_shots_does_not_matter(kind: type[PooledPrototypes | DenseMatching]) -> None:
    method = kind(tiny_network())
    images, masks = plates(3)
    query = method.features(plates(1, seed=9)[0])
    forth = method.segment(query, encode(method, images, masks))
    back = method.segment(query, encode(method, images.flip(0), masks.flip(0)))
    torch.testing.assert_close(forth, back, atol=1e-4, rtol=1e-4)


@both
@torch.inference_mode()
def test_encoding_has_one_size_for_any_number_of_shots(kind: type[PooledPrototypes | DenseMatching]) -> None:
    method = kind(tiny_network())
    images, masks = plates(3)
    one, three = encode(method, images[:1], masks[:1]), encode(method, images, masks)
    assert len(SupportEncoding.stack([one, three])) == 2


@both
def test_networks_of_the_paper_preset_are_refused(kind: type[PooledPrototypes | DenseMatching]) -> None:
    with pytest.raises(ConfigurationError, match="metal preset"):
        kind(build_lerenet(PAPER_VGG))


def test_pooled_prototypes_compare_by_cosine() -> None:
    encoding = SupportEncoding({BACKGROUND: torch.tensor([[0.0, 2.0]]), FOREGROUND: torch.tensor([[3.0, 3.0]])})
    cells = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    cosines = PooledPrototypes(tiny_network()).compare(0, cells, encoding)
    torch.testing.assert_close(cosines, torch.tensor([[0.0, 1.0], [0.5**0.5, 0.5**0.5]]))


def test_dense_matching_takes_the_nearest_of_each_bank() -> None:
    banks = {
        background_bank(1): torch.tensor([[[-1.0, 0.0], [0.0, 1.0]]]),
        foreground_bank(1): torch.tensor([[[1.0, 0.0], [0.6, 0.8]]]),
    }
    cells = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    cosines = DenseMatching(tiny_network()).compare(1, cells, SupportEncoding(banks))
    torch.testing.assert_close(cosines, torch.tensor([[0.0, 1.0], [1.0, 0.8]]))
