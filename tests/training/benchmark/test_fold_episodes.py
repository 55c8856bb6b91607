from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.errors import DatasetError
from lerenet.training.benchmark.episodes import EpisodeForm, FoldEpisodes, draw_support, group_faults

FORM = EpisodeForm(n_shots=2, size_px=32, rule="gt127")


@pytest.fixture
def bars(plates: Path) -> DefectClass:
    return open_folder(plates, ["steel/bars"])[0]


def test_batches_hold_queries_with_their_shots(bars: DefectClass) -> None:
    source = FoldEpisodes([bars], FORM, n_episodes=2, seed=1)
    images, masks = source[0]
    assert images.shape == (2, 3, 3, 32, 32)
    assert masks.shape == (2, 3, 32, 32)
    assert images.dtype == masks.dtype == torch.uint8


def test_epoch_drops_what_fills_no_batch(bars: DefectClass) -> None:
    assert FoldEpisodes([bars], FORM, n_episodes=2, seed=1).batches_per_epoch == 3


def test_batches_repeat_by_number_alone(bars: DefectClass) -> None:
    one, other = (FoldEpisodes([bars], FORM, n_episodes=2, seed=1) for _ in range(2))
    assert torch.equal(one[4][0], other[4][0])
    assert not torch.equal(one[4][0], one[1][0])


def test_too_few_images_for_a_batch_are_refused(bars: DefectClass) -> None:
    with pytest.raises(DatasetError, match="7 images to train on, and a batch takes 8"):
        FoldEpisodes([bars], FORM, n_episodes=8, seed=1)


def test_shots_are_distinct_images_other_than_the_query() -> None:
    groups = [str(place) for place in range(6)]
    for seed in range(20):
        shots = draw_support(groups, 2, 5, np.random.default_rng(seed))
        assert sorted(shots) == [0, 1, 3, 4, 5]


def test_shots_are_of_other_groups_than_the_query() -> None:
    for seed in range(20):
        assert set(draw_support(["a", "a", "b", "c"], 0, 2, np.random.default_rng(seed))) == {2, 3}


def test_class_with_one_group_too_large_is_named(bars: DefectClass) -> None:
    crowded = replace(bars, pairs=tuple(replace(pair, group="one") for pair in bars.pairs))
    assert group_faults([bars], 2) == []
    [fault] = group_faults([crowded], 1)
    assert "steel/bars" in fault
