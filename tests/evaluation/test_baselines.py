from __future__ import annotations

import pytest
import torch
from torch import Tensor

from builders import tiny_network
from lerenet.errors import ConfigurationError
from lerenet.evaluation.baselines import DenseMatching, PooledPrototypes, SelfSupport
from lerenet.evaluation.baselines.cosine import CosineComparison
from lerenet.network import PAPER_VGG, SupportEncoding, build_lerenet
from lerenet.network.metal.names import PROTOTYPES, background_bank, foreground_bank

SIDE_PX = 64

Rule = type[PooledPrototypes | DenseMatching | SelfSupport]

each_rule = pytest.mark.parametrize("kind", [PooledPrototypes, DenseMatching, SelfSupport])


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


@each_rule
@torch.inference_mode()
def test_defect_scores_above_its_surroundings(kind: Rule) -> None:
    method = kind(tiny_network())
    images, masks = plates(1)
    logits = method.segment(method.features(images), encode(method, images, masks))
    score = (logits[0, 1] - logits[0, 0]).float()
    assert logits.shape == (1, 2, SIDE_PX, SIDE_PX)
    assert score[masks[0] > 0].mean() > score[masks[0] == 0].mean()


@each_rule
@torch.inference_mode()
def test_pairs_by_index_are_the_same_as_one_by_one(kind: Rule) -> None:
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


@each_rule
@torch.inference_mode()
def test_order_of_shots_does_not_matter(kind: Rule) -> None:
    method = kind(tiny_network())
    images, masks = plates(3)
    query = method.features(plates(1, seed=9)[0])
    forth = method.segment(query, encode(method, images, masks))
    back = method.segment(query, encode(method, images.flip(0), masks.flip(0)))
    torch.testing.assert_close(forth, back, atol=1e-4, rtol=1e-4)


@each_rule
@torch.inference_mode()
def test_encoding_has_one_size_for_any_number_of_shots(kind: Rule) -> None:
    method = kind(tiny_network())
    images, masks = plates(3)
    one, three = encode(method, images[:1], masks[:1]), encode(method, images, masks)
    assert len(SupportEncoding.stack([one, three])) == 2


@each_rule
def test_networks_of_the_paper_preset_are_refused(kind: Rule) -> None:
    with pytest.raises(ConfigurationError, match="metal preset"):
        kind(build_lerenet(PAPER_VGG))


def test_pooled_prototypes_compare_by_cosine() -> None:
    encoding = SupportEncoding({PROTOTYPES: torch.tensor([[[0.0, 1.0], [0.5**0.5, 0.5**0.5]]])})
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


# Background (1, 0) and foreground (0, 1).
SUPPORT = SupportEncoding({PROTOTYPES: torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])})


def test_self_support_moves_the_foreground_prototype_half_way_to_the_sure_cells() -> None:
    cells = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, 0.8]]), dim=1).mT
    method = SelfSupport(tiny_network())
    to_foreground = method.compare(0, cells, SUPPORT)[1]
    prototype = torch.nn.functional.normalize(torch.tensor([0.3, 0.9]), dim=0)
    torch.testing.assert_close(to_foreground, prototype @ cells)


def test_self_support_adapts_the_background_to_each_cell() -> None:
    # Two kinds of sound metal, both sure: each cell finds its own kind nearer than the mean of both.
    cells = torch.nn.functional.normalize(torch.tensor([[1.0, 0.3], [1.0, -0.9], [0.0, 1.0]]), dim=1).mT
    to_background = SelfSupport(tiny_network()).compare(0, cells, SUPPORT)[0]
    mean = torch.nn.functional.normalize(cells[:, :2].mean(1), dim=0)
    assert (to_background[:2] > mean @ cells[:, :2]).all()


def test_self_support_takes_the_surest_cells_when_none_passes() -> None:
    cells = torch.full((2, 20), 0.5**0.5)  # as near to the one as to the other
    assert SelfSupport(tiny_network()).compare(0, cells, SUPPORT).isfinite().all()
