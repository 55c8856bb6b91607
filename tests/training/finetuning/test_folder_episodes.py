from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.training.finetuning.episodes import FolderEpisodes, MixedEpisodes


@pytest.fixture
def classes(plates: Path) -> tuple[DefectClass, ...]:
    return open_folder(plates)


def _source(classes: Sequence[DefectClass], **changes: Any) -> FolderEpisodes:
    fields: dict[str, Any] = {"n_images": 4, "n_episodes": 2, "size_px": 32, "seed": 1, "rule": "gt127"}
    return FolderEpisodes(classes, **(fields | changes))


def test_batch_holds_episodes_of_real_crops(classes: Sequence[DefectClass]) -> None:
    images, masks = _source(classes)[0]
    assert (images.shape, masks.shape) == ((2, 4, 3, 32, 32), (2, 4, 32, 32))
    assert images.dtype == masks.dtype == torch.uint8
    assert int(masks.max()) == 1


def test_batches_repeat_by_number_alone(classes: Sequence[DefectClass]) -> None:
    assert torch.equal(_source(classes)[3][0], _source(classes)[3][0])
    assert not torch.equal(_source(classes)[3][0], _source(classes)[4][0])


def test_images_of_an_episode_are_of_different_groups(
    classes: Sequence[DefectClass], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[list[str]] = []
    choose = FolderEpisodes._choose

    def watch(self: FolderEpisodes, place: int, random: Any) -> Any:
        images = choose(self, place, random)
        chosen.append([image.group for image in images])
        n_normals.append(sum(image.mask_path is None for image in images))
        assert all(image.mask_path is not None for image in images[:2])
        return images

    n_normals: list[int] = []
    monkeypatch.setattr(FolderEpisodes, "_choose", watch)
    source = _source(classes)
    for index in range(30):
        source[index]
    assert len(chosen) == 60
    assert all(len(set(groups)) == 4 for groups in chosen)
    assert 0 < sum(n_normals) < 60


def test_real_and_synthetic_episodes_stand_in_one_batch(classes: Sequence[DefectClass]) -> None:
    first, second = _source(classes), _source(classes, n_episodes=3, seed=2)
    images, masks = MixedEpisodes(first, second)[5]
    assert torch.equal(images[:2], first[5][0])
    assert torch.equal(masks[2:], second[5][1])
