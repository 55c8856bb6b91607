"""Synthetic plates: determinism, what an episode promises, and what its parameters mean."""

from __future__ import annotations

import math

import pytest
import torch

from lerenet.synthetic import EpisodeGenerator
from lerenet.synthetic.appearance import annotate
from lerenet.synthetic.defects import FAMILIES as DEFECTS
from lerenet.synthetic.defects import sample_defect
from lerenet.synthetic.draw import Draw, Parameters, stack, take
from lerenet.synthetic.fields import Spectra, dilated, gaussian_field
from lerenet.synthetic.shapes import Canvas
from lerenet.synthetic.surfaces import FAMILIES as SURFACES

CPU = torch.device("cpu")


def test_there_are_at_least_eight_surfaces_and_twelve_defect_families() -> None:
    assert len(SURFACES) >= 8
    assert len({family.name for family in DEFECTS}) >= 12


def test_a_batch_is_a_pure_function_of_seed_and_index() -> None:
    first, again = (EpisodeGenerator(seed=3, size_px=64).batch(5, 2) for _ in range(2))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.masks, again.masks)


@pytest.mark.parametrize(("seed", "index"), [(4, 5), (3, 6)])
def test_another_seed_or_index_gives_other_plates(seed: int, index: int) -> None:
    first = EpisodeGenerator(seed=3, size_px=64).batch(5, 2)
    assert not torch.equal(first.images, EpisodeGenerator(seed=seed, size_px=64).batch(index, 2).images)


def test_a_batch_has_the_promised_shapes() -> None:
    batch = EpisodeGenerator(seed=0, size_px=64, n_images=3).batch(0, 2)
    assert batch.images.shape == (2, 3, 3, 64, 64)
    assert batch.images.dtype == torch.uint8
    assert batch.masks.shape == (2, 3, 64, 64)
    assert set(batch.masks.unique().tolist()) <= {0, 1}


def test_the_first_two_plates_of_every_episode_show_the_defect() -> None:
    generator = EpisodeGenerator(seed=1, size_px=64, defect_free=1.0)
    for index in range(6):
        areas = generator.batch(index, 4).masks.sum((2, 3))
        assert bool((areas[:, :2] > 0).all())
        assert bool((areas[:, 2:] == 0).all())


def test_plates_differ_within_an_episode() -> None:
    images = EpisodeGenerator(seed=2, size_px=64).batch(0, 1).images[0]
    assert not torch.equal(images[0], images[1])


def _class_on(family: int, count: int, draw: Draw) -> Parameters:
    rows: list[dict[str, float]] = []
    while len(rows) < count:
        drawn, parameters = sample_defect(draw)
        if drawn == family:
            rows.append(parameters)
    return take(stack(rows, CPU), torch.arange(count))


@pytest.mark.parametrize("family", range(len(DEFECTS)), ids=[family.name for family in DEFECTS])
def test_every_family_marks_something_that_shows(family: int) -> None:
    draw = Draw(family, CPU)
    p = _class_on(family, 6, draw)
    part = torch.full((6, 96, 96), 1e3)
    inside = DEFECTS[family].outline(Canvas(draw, 96), p, part)
    masks = annotate(inside, part, p)
    assert bool(inside.isfinite().all())
    assert int((masks.sum((1, 2)) > 0).sum()) >= 4


def test_the_annotators_margin_widens_the_mask() -> None:
    inside = 5 - torch.arange(-20, 21).abs().float().expand(1, 41, 41)
    part = torch.full_like(inside, 1e3)
    areas = [
        float(annotate(inside, part, {"margin_px": torch.tensor([margin]), "closing_px": torch.tensor([1.0])}).sum())
        for margin in (1.0, 2.0, 3.0)
    ]
    assert areas == [9 * 41, 11 * 41, 13 * 41]


def test_closing_bridges_a_gap_without_widening_the_outline() -> None:
    inside = torch.full((1, 41, 41), -1.0)
    inside[:, :, 10:15] = inside[:, :, 18:23] = 1.0
    p = {"margin_px": torch.tensor([1.0]), "closing_px": torch.tensor([3.0])}
    columns = annotate(inside, torch.full_like(inside, 1e3), p)[0, 20].nonzero()[:, 0]
    assert columns.tolist() == list(range(10, 23))


def test_nothing_is_marked_beyond_the_part() -> None:
    inside, part = torch.full((1, 32, 32), 5.0), torch.full((1, 32, 32), 10.0)
    part[:, :, 16:] = -10.0
    p = {"margin_px": torch.tensor([1.0]), "closing_px": torch.tensor([1.0])}
    assert int(annotate(inside, part, p)[:, :, 16:].sum()) == 0


def test_a_field_has_the_variance_of_its_spectrum() -> None:
    spectra = Spectra(128, CPU)
    power = 4 * spectra.grain(torch.tensor([1.0])) + 5 * spectra.cloud(torch.tensor([0.8]))
    field = gaussian_field(Draw(0, CPU), power.expand(16, -1, -1), 128)
    assert math.isclose(float(field.var()), 9.0, rel_tol=0.1)


def test_dilation_undoes_erosion_of_a_large_square() -> None:
    mask = torch.zeros(1, 32, 32)
    mask[:, 8:24, 8:24] = 1
    assert torch.equal(dilated(dilated(mask, -3), 3), mask)
    assert int(dilated(mask, 2).sum()) == 20 * 20
