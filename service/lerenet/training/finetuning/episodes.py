"""Episodes of real crops, and batches in which they stand beside synthetic plates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from lerenet.datasets.reading import read_shot
from lerenet.imaging.images import ImageLimits
from lerenet.inference.geometry import ratio_of
from lerenet.inference.scale import choose_scale
from lerenet.training.finetuning.crops import random_crop, shrunken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from lerenet.datasets.folder import DefectClass, LabelledImage
    from lerenet.datasets.labels import LabelRule
    from lerenet.imaging.shots import Shot
    from lerenet.training.episodes import EpisodeSource

MAX_HELD_BYTES = 1 << 29
_NORMAL_SHARE = 0.3


class FolderEpisodes:
    """Batches of episodes of real crops by number; no two images of an episode are of one group.

    Args:
        classes: Classes to learn; each of at least `n_images` groups.
        n_images: Images in an episode: the first two are marked ones, later ones at times defect-free.
        n_episodes: Episodes in a batch.
        size_px: Side of the crops.
        seed: Decides everything.
        rule: What makes a label of a grey mask.
    """

    def __init__(
        self,
        classes: Sequence[DefectClass],
        *,
        n_images: int,
        n_episodes: int,
        size_px: int,
        seed: int,
        rule: LabelRule,
    ) -> None:
        self._images = _WorkingImages(classes, rule)
        self._classes = [_by_group(found.pairs) for found in classes]
        self._normals = [found.normals for found in classes]
        self._n_images, self._n_episodes, self._size_px, self._seed = n_images, n_episodes, size_px, seed

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Images (B, N, 3, S, S) uint8 RGB and masks (B, N, S, S) uint8 in {0, 1}."""
        random = np.random.default_rng([self._seed, index])
        crops = [crop for _ in range(self._n_episodes) for crop in self._episode(random)]
        images = torch.from_numpy(np.stack([crop.image for crop in crops])).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.stack([crop.mask for crop in crops]))
        shape = (self._n_episodes, self._n_images)
        return images.unflatten(0, shape).contiguous(), masks.unflatten(0, shape)

    def _episode(self, random: np.random.Generator) -> list[Shot]:
        place = int(random.integers(len(self._classes)))
        chosen = self._choose(place, random)
        return [random_crop(self._images.read(place, image), self._size_px, random) for image in chosen]

    def _choose(self, place: int, random: np.random.Generator) -> list[LabelledImage]:
        groups = self._classes[place]
        names = [list(groups)[i] for i in random.permutation(len(groups))[: self._n_images]]
        chosen = [_any(groups[name], random) for name in names]
        for slot in range(2, len(chosen)):
            taken = {image.group for image in chosen}
            free = [normal for normal in self._normals[place] if normal.group not in taken]
            if free and random.random() < _NORMAL_SHARE:
                chosen[slot] = _any(free, random)
        return chosen


class MixedEpisodes:
    """Batches of two sources side by side.

    Args:
        first: Of B1 episodes a batch.
        second: Of B2, with as many images of the same size in each.
    """

    def __init__(self, first: EpisodeSource, second: EpisodeSource) -> None:
        self._sources = (first, second)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Images (B1 + B2, N, 3, S, S) uint8 RGB and masks (B1 + B2, N, S, S) uint8 in {0, 1}."""
        (images, masks), (more_images, more_masks) = (source[index] for source in self._sources)
        # Plates may come from an accelerator, crops never do.
        return torch.cat([images, more_images.cpu()]), torch.cat([masks, more_masks.cpu()])


class _WorkingImages:
    """Images at the working scale of their class, read when they are needed and kept while there is room."""

    def __init__(self, classes: Sequence[DefectClass], rule: LabelRule) -> None:
        self._rule = rule
        self._limits = ImageLimits()
        self._ratios = [ratio_of(choose_scale([self._read(pair).mask for pair in found.pairs])) for found in classes]
        self._kept: dict[tuple[int, LabelledImage], Shot] = {}
        self._held_bytes = 0

    def read(self, place: int, image: LabelledImage) -> Shot:
        key = (self._ratios[place], image)
        if key in self._kept:
            return self._kept[key]
        shot = shrunken(self._read(image), self._ratios[place])
        size_bytes = shot.image.nbytes + shot.mask.nbytes
        if self._held_bytes + size_bytes <= MAX_HELD_BYTES:
            self._kept[key] = shot
            self._held_bytes += size_bytes
        return shot

    def _read(self, image: LabelledImage) -> Shot:
        return read_shot(image, self._rule, self._limits)


def _by_group(pairs: Iterable[LabelledImage]) -> dict[str, list[LabelledImage]]:
    groups: dict[str, list[LabelledImage]] = {}
    for pair in pairs:
        groups.setdefault(pair.group, []).append(pair)
    return groups


def _any(images: Sequence[LabelledImage], random: np.random.Generator) -> LabelledImage:
    return images[int(random.integers(len(images)))]
