"""The metal preset: what its prototypes and its similarity maps promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from lerenet.network.config import tiny
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.lerenet import IGNORE_INDEX, LERENet
from lerenet.network.metal.mpr import MPR
from lerenet.network.metal.names import (
    BACKGROUND,
    FOREGROUND,
    background_bank,
    descriptor,
    discriminant,
    foreground_bank,
)
from lerenet.network.metal.prior import Prior
from lerenet.network.metal.support import SupportPool

LEVELS = range(3)
BANKS = [bank(level) for level in LEVELS for bank in (foreground_bank, background_bank)]
STRIDES = (4, 8, 16)


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def pool(network: LERENet) -> SupportPool:
    assert isinstance(network.support_pool, SupportPool)
    return network.support_pool


def assert_same(left: SupportEncoding, right: SupportEncoding, tolerance: float = 1e-5) -> None:
    assert left.tensors.keys() == right.tensors.keys()
    for name, tensor in left.tensors.items():
        torch.testing.assert_close(right.tensors[name], tensor, rtol=tolerance, atol=tolerance)


def coordinate_features(n_images: int, size_px: int) -> Features:
    """Features in which every cell's descriptor differs from every other in direction, and can be told by it."""
    config, generator = tiny(), torch.Generator().manual_seed(9)
    grids = [size_px // stride for stride in STRIDES]
    channels = (config.pyramid_channels, *config.stage_channels[1:])
    maps = [torch.randn(n_images, c, n, n, generator=generator) for c, n in zip(channels, grids, strict=True)]
    sizes = zip(config.descriptor_channels, grids, strict=True)
    cells = [normalize(torch.randn(n_images, d, n, n, generator=generator), dim=1) for d, n in sizes]
    return Features(tuple(maps), (size_px, size_px), {descriptor(level): cells[level] for level in LEVELS})


def changed(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """The features with a change made to every map and to every level's descriptors."""
    return Features(
        tuple(change(m) for m in features.maps),
        features.size,
        {name: change(cells) for name, cells in features.shared.items()},
    )


def origin_of(bank: Tensor, cells: Tensor) -> list[set[tuple[int, int, int]]]:
    """Per class the (image, row, column) of the descriptors (M, d, h, w) which its bank (B, n, d) was drawn from."""
    similarity = torch.einsum("bnd,mdhw->bnmhw", bank, cells).flatten(2)
    assert torch.allclose(similarity.amax(2), torch.ones(()))
    shape = (cells.shape[0], *cells.shape[2:])
    places = [torch.unravel_index(best, shape) for best in similarity.argmax(2)]
    return [set(zip(*(axis.tolist() for axis in place), strict=True)) for place in places]


def test_copies_of_a_shot_say_what_the_shot_says(network: LERENet, images: Tensor, masks: Tensor) -> None:
    one = network.encode_support(images[:, :1], masks[:, :1])
    copies = network.encode_support(images[:, [0] * 5], masks[:, [0] * 5])
    for name in {*one.tensors} - {*BANKS}:
        torch.testing.assert_close(copies.tensors[name], one.tensors[name], rtol=1e-5, atol=1e-5)
    for level in LEVELS:
        typical = [each.tensors[background_bank(level)].chunk(2, dim=1)[0] for each in (one, copies)]
        torch.testing.assert_close(*typical)


def test_discriminant_is_the_mean_of_those_of_the_shots(network: LERENet, images: Tensor, masks: Tensor) -> None:
    together = network.encode_support(images, masks)
    alone = [network.encode_support(images[:, k : k + 1], masks[:, k : k + 1]) for k in range(images.shape[1])]
    for name in map(discriminant, LEVELS):
        mean = torch.stack([each.tensors[name] for each in alone]).mean(0)
        torch.testing.assert_close(together.tensors[name], mean, rtol=1e-4, atol=1e-5)


def test_several_shots_give_the_foreground_as_many_cells_as_one_brings(pool: SupportPool, masks: Tensor) -> None:
    features, shots = coordinate_features(3, 64), torch.tensor([[0, 1, 2]])
    encoding = pool(features, masks[0], shots)
    (chosen,) = origin_of(encoding.tensors[foreground_bank(0)], features.shared[descriptor(0)])
    (sound,) = origin_of(encoding.tensors[background_bank(0)].chunk(2, dim=1)[0], features.shared[descriptor(0)])
    marked = (torch.nn.functional.avg_pool2d((masks[0] == 1).float(), 4) >= 0.5).nonzero().tolist()
    cells = features.shared[descriptor(0)].permute(0, 2, 3, 1)
    background = torch.stack([cells[place] for place in sound])
    likeness = {tuple(place): (background @ cells[tuple(place)]).max().item() for place in marked}
    assert chosen <= set(sorted(likeness, key=lambda place: likeness[place])[: -(-len(marked) // 3)])


def test_order_of_shots_does_not_matter(network: LERENet, images: Tensor, masks: Tensor) -> None:
    forward = network.encode_support(images, masks)
    backward = network.encode_support(images[:, [2, 0, 1]], masks[:, [2, 0, 1]])
    assert_same(forward, backward)


def test_order_of_shots_does_not_matter_when_features_are_bfloat16(network: LERENet, masks: Tensor) -> None:
    features = coordinate_features(3, 64)
    coarse = changed(features, lambda m: m.bfloat16().float())
    with torch.autocast("cpu", torch.bfloat16):
        forward = network.summarise(coarse, masks[0], torch.tensor([[0, 1, 2]]))
        backward = network.summarise(coarse, masks[0], torch.tensor([[2, 1, 0]]))
    assert_same(forward, backward)


def test_sums_over_cells_stay_float32_under_autocast(network: LERENet, masks: Tensor) -> None:
    features = coordinate_features(3, 64)
    shots = torch.tensor([[0, 1, 2]])
    exact = network.summarise(features, masks[0], shots)
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = network.summarise(features, masks[0], shots)
    for name in (FOREGROUND, BACKGROUND, *BANKS):
        torch.testing.assert_close(under_autocast.tensors[name], exact.tensors[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("with_normals", [False, True])
@pytest.mark.parametrize("n_shots", [2, 3])
def test_encoding_has_one_size_for_any_support_set(
    network: LERENet, images: Tensor, masks: Tensor, normals: Tensor, n_shots: int, with_normals: bool
) -> None:
    one_shot = network.encode_support(images[:, :1], masks[:, :1])
    other = network.encode_support(images[:, :n_shots], masks[:, :n_shots], normals if with_normals else None)
    shapes = {name: tensor.shape for name, tensor in one_shot.tensors.items()}
    assert {name: tensor.shape for name, tensor in other.tensors.items()} == shapes


def test_descriptors_have_unit_length(network: LERENet, images: Tensor, masks: Tensor) -> None:
    encoding = network.encode_support(images, masks)
    for name in BANKS:
        lengths = encoding.tensors[name].norm(dim=2)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))


@pytest.mark.parametrize("level", LEVELS)
def test_banks_come_from_their_side_of_the_mask(pool: SupportPool, masks: Tensor, level: int) -> None:
    features = coordinate_features(6, 64)
    shots = torch.arange(6).view(2, 3)
    encoding = pool(features, masks.flatten(0, 1), shots)
    share = torch.nn.functional.avg_pool2d(masks.flatten(0, 1).float(), STRIDES[level])
    for b, cells in enumerate(origin_of(encoding.tensors[foreground_bank(level)], features.shared[descriptor(level)])):
        assert all(m in shots[b] and share[m, row, column] >= 0.3 for m, row, column in cells)
    for b, cells in enumerate(origin_of(encoding.tensors[background_bank(level)], features.shared[descriptor(level)])):
        assert all(m in shots[b] and share[m, row, column] < 0.01 for m, row, column in cells)


def test_bank_draws_every_shot_in(pool: SupportPool, masks: Tensor) -> None:
    features = coordinate_features(3, 64)
    encoding = pool(features, masks[0], torch.tensor([[0, 1, 2]]))
    for bank in (foreground_bank, background_bank):
        (cells,) = origin_of(encoding.tensors[bank(0)], features.shared[descriptor(0)])
        assert {m for m, _, _ in cells} == {0, 1, 2}


def test_bank_holds_every_cell_when_there_are_few(pool: SupportPool) -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 8:16, 20:32] = 1  # six cells at stride 4
    features = coordinate_features(1, 64)
    (cells,) = origin_of(
        pool(features, mask, torch.tensor([[0]])).tensors[foreground_bank(0)], features.shared[descriptor(0)]
    )
    assert cells == {(0, row, column) for row in (2, 3) for column in (5, 6, 7)}


@pytest.mark.parametrize("level", LEVELS)
def test_scratch_thinner_than_a_cell_is_in_the_foreground(pool: SupportPool, level: int) -> None:
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, 33, 3:60] = 1
    features = coordinate_features(1, 64)
    encoding = pool(features, mask, torch.tensor([[0]]))
    (cells,) = origin_of(encoding.tensors[foreground_bank(level)], features.shared[descriptor(level)])
    assert {row for _, row, _ in cells} == {33 // STRIDES[level]}


def test_padding_carries_no_descriptor(pool: SupportPool, masks: Tensor) -> None:
    padded = masks[0].clone()
    padded[:, 48:] = IGNORE_INDEX
    features = coordinate_features(3, 64)
    shots = torch.tensor([[0, 1, 2]])
    encoding = pool(features, padded, shots)
    filled = changed(
        features, lambda m: torch.cat([m[:, :, : m.shape[2] * 3 // 4], m[:, :, m.shape[2] * 3 // 4 :] + 9], 2)
    )
    assert_same(pool(filled, padded, shots), encoding, tolerance=0)


def test_padding_adds_nothing_to_an_unpadded_support(pool: SupportPool, masks: Tensor) -> None:
    whole = coordinate_features(3, 64)
    cut = replace(changed(whole, lambda m: m[:, :, : m.shape[2] // 2]), size=(32, 64))
    padded = masks[0].clone()
    padded[:, 32:] = IGNORE_INDEX
    shots = torch.tensor([[0, 1, 2]])
    assert_same(pool(whole, padded, shots), pool(cut, masks[0, :, :32], shots))


def test_normals_join_the_background(pool: SupportPool, masks: Tensor) -> None:
    features = coordinate_features(5, 64)
    shots = torch.tensor([[0, 1, 2]])
    normals = features.select(torch.tensor([3, 4]))
    encoding = pool(features, masks[0].repeat(2, 1, 1)[:5], shots, normals)
    for level in LEVELS:
        (cells,) = origin_of(encoding.tensors[background_bank(level)], features.shared[descriptor(level)])
        assert {m for m, _, _ in cells} & {3, 4}
        (cells,) = origin_of(encoding.tensors[foreground_bank(level)], features.shared[descriptor(level)])
        assert not {m for m, _, _ in cells} & {3, 4}


def test_normals_leave_the_pooled_foreground_as_it_is(
    network: LERENet, images: Tensor, masks: Tensor, normals: Tensor
) -> None:
    without, with_normals = network.encode_support(images, masks), network.encode_support(images, masks, normals)
    assert all(torch.equal(without.tensors[name], with_normals.tensors[name]) for name in (FOREGROUND, "nodes"))
    assert not torch.equal(without.tensors[BACKGROUND], with_normals.tensors[BACKGROUND])


def test_normals_of_one_class_do_not_reach_another(
    network: LERENet, images: Tensor, masks: Tensor, normals: Tensor
) -> None:
    both = network.encode_support(images, masks, normals)
    alone = network.encode_support(images[1:], masks[1:], normals[1:])
    assert_same(both[1], alone)


def test_pooled_prototypes_are_means_over_their_area(pool: SupportPool, masks: Tensor) -> None:
    features = coordinate_features(3, 64)
    encoding = pool(features, masks[0], torch.tensor([[0, 1, 2]]))
    share = torch.nn.functional.avg_pool2d((masks[0] == 1).float(), 4)[:, None]
    finest = features.maps[0]
    for name, weight in ((FOREGROUND, share), (BACKGROUND, 1 - share)):
        expected = (finest * weight).sum((0, 2, 3)) / weight.sum()
        torch.testing.assert_close(encoding.tensors[name][0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("value", "empty"), [(0, foreground_bank), (1, background_bank), (IGNORE_INDEX, background_bank)]
)
def test_side_without_any_cell_resembles_nothing(pool: SupportPool, value: int, empty: Callable[[int], str]) -> None:
    mask = torch.full((1, 64, 64), value, dtype=torch.uint8)
    encoding = pool(coordinate_features(1, 64), mask, torch.tensor([[0]]))
    assert all(bool((encoding.tensors[empty(level)] == 0).all()) for level in LEVELS)


@pytest.mark.parametrize("value", [0, 1, IGNORE_INDEX])
def test_logits_are_finite_when_a_mask_has_one_value(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor, value: int
) -> None:
    assert network(query, images, torch.full_like(masks, value)).isfinite().all()


def test_moved_support_gives_the_same_prototypes(pool: SupportPool) -> None:
    features = coordinate_features(1, 64)
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[0, :16, 16:48] = 1
    moved = changed(features, lambda m: m.roll(m.shape[2] // 2, 2))
    shots = torch.tensor([[0]])
    assert_same(pool(moved, mask.roll(32, 1), shots), pool(features, mask, shots))


def test_moved_query_moves_the_prior(network: LERENet, images: Tensor, masks: Tensor) -> None:
    encoding = network.encode_support(images, masks)
    prior = network.prior
    assert isinstance(prior, Prior)
    features = coordinate_features(2, 64)
    shifted = {descriptor(0): features.shared[descriptor(0)].roll(5, 3)}
    moved = replace(features, shared={**features.shared, **shifted})
    torch.testing.assert_close(prior(moved, encoding)[:, :6], prior(features, encoding)[:, :6].roll(5, 3))


def test_prior_of_a_cell_in_the_bank_is_one(network: LERENet, images: Tensor, masks: Tensor) -> None:
    flat_masks = masks.flatten(0, 1)
    features = network.features(images.flatten(0, 1))
    encoding = network.summarise(features, flat_masks, torch.arange(6)[:, None])
    prior = network.prior(features, encoding)
    best = prior[:, 0].flatten(1)
    assert best.amax(1).allclose(torch.ones(()), atol=1e-4)
    assert prior[:, :4].abs().max() <= 1 + 1e-4


def test_prior_is_the_same_when_gradients_are_kept(network: LERENet, images: Tensor, masks: Tensor) -> None:
    encoding = network.encode_support(images, masks)
    features = coordinate_features(2, 64)
    searched = network.prior(features, encoding)
    with torch.enable_grad():
        learned = network.prior(features, encoding)
    torch.testing.assert_close(learned, searched)


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_descriptors_do_not_depend_on_the_length_of_features(network: LERENet, scale: float) -> None:
    prior = network.prior
    assert isinstance(prior, Prior)
    for projection in prior.descriptors.project:
        assert isinstance(projection, torch.nn.Conv2d)
        assert projection.bias is not None
        projection.bias.zero_()
    features = coordinate_features(2, 64)
    scaled = changed(features, lambda m: m * scale)
    torch.testing.assert_close(prior.shared(scaled), prior.shared(features))


def test_half_of_the_background_bank_comes_closest_to_the_defect(pool: SupportPool, masks: Tensor) -> None:
    features = coordinate_features(3, 64)
    tensors = pool(features, masks[0], torch.tensor([[0, 1, 2]])).tensors
    foreground, background = tensors[foreground_bank(0)].chunk(2, dim=1)[0], tensors[background_bank(0)]
    likeness = (background @ foreground.mT).amax(2)
    spread, alike = likeness.chunk(2, dim=1)
    cells = features.shared[descriptor(0)].permute(0, 2, 3, 1)[masks[0, :, ::4, ::4] == 0]
    quarter = (cells @ foreground[0].T).amax(1).quantile(0.7)
    assert alike.min() > quarter
    assert spread.min() < quarter


def test_half_of_the_foreground_bank_stays_farthest_from_the_background(pool: SupportPool, masks: Tensor) -> None:
    tensors = pool(coordinate_features(3, 64), masks[0], torch.tensor([[0, 1, 2]])).tensors
    spread_background = tensors[background_bank(0)].chunk(2, dim=1)[0]
    likeness = (tensors[foreground_bank(0)] @ spread_background.mT).amax(2)
    spread, telling = likeness.chunk(2, dim=1)
    assert telling.max() < spread.median()
    assert spread.max() > telling.max()


@pytest.mark.parametrize("n_shots", [1, 3])
def test_discriminant_parts_defect_and_background_that_differ(pool: SupportPool, masks: Tensor, n_shots: int) -> None:
    """On descriptors in which the defect is one shift of a varied background: where a cosine sees little."""
    features = coordinate_features(3, 64)
    covered = masks[0, :, ::4, ::4].float()[:, None]
    shift = torch.zeros(1, 6, 1, 1)
    shift[:, 2] = 2.0
    cells = normalize(features.shared[descriptor(0)] + shift * covered, dim=1)
    shown = replace(features, shared={**features.shared, descriptor(0): cells})
    weights = pool(shown, masks[0], torch.arange(n_shots)[None]).tensors[discriminant(0)][0]
    response = torch.einsum("mdhw,d->mhw", cells, weights[:-1]) + weights[-1]
    assert response[covered[:, 0] == 1].mean() > 0.4
    assert response[covered[:, 0] == 0].mean() < -0.4


def test_discriminant_learns_from_normals(pool: SupportPool, masks: Tensor) -> None:
    features = coordinate_features(5, 64)
    support, normals = features.select(torch.arange(3)), features.select(torch.tensor([3, 4]))
    shots = torch.tensor([[0, 1, 2]])
    without, with_normals = pool(support, masks[0], shots), pool(support, masks[0], shots, normals)
    for level in LEVELS:
        assert not torch.equal(without.tensors[discriminant(level)], with_normals.tensors[discriminant(level)])


def test_reasoning_is_free_of_positions(network: LERENet, images: Tensor, masks: Tensor) -> None:
    """Shuffled query cells give shuffled results: only what the cells hold counts, not where they are."""
    encoding, reasoning = network.encode_support(images, masks), network.mpr
    assert isinstance(reasoning, MPR)
    whole = coordinate_features(2, 64)
    finest, cells = whole.maps[0], whole.shared[descriptor(0)]
    order = torch.randperm(finest.shape[2] * finest.shape[3], generator=torch.Generator().manual_seed(0))
    shuffled, moved_cells = (m.flatten(2)[..., order].view_as(m) for m in (finest, cells))
    results = []
    for maps, descriptors in ((finest, cells), (shuffled, moved_cells)):
        plain = Features((maps,), (64, 64), {descriptor(0): descriptors})
        features = replace(plain, shared={**plain.shared, **reasoning.shared(plain)})
        results.append((reasoning(features, encoding), network.mpe(features, encoding)))
    for plain, moved in zip(*results, strict=True):
        torch.testing.assert_close(moved.flatten(2), plain.flatten(2)[..., order], rtol=1e-4, atol=1e-4)


def test_first_guess_of_a_fresh_network_is_mostly_background(
    network: LERENet, query: Tensor, images: Tensor, masks: Tensor
) -> None:
    torch.manual_seed(0)
    probability = network.train()(query, images, masks).softmax(1)[:, 1]
    assert 0.02 < probability.mean() < 0.15
