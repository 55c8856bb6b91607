"""The authors' training episodes: every image of the list once an epoch as query, with shots of its class beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from lerenet.datasets.reading import read_shot
from lerenet.errors import DatasetError
from lerenet.imaging.images import ImageLimits
from lerenet.training.benchmark.augmentation import augmented

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lerenet.datasets.folder import DefectClass, LabelledImage
    from lerenet.datasets.labels import LabelRule
    from lerenet.imaging.shots import Shot


@dataclass(frozen=True, slots=True)
class EpisodeForm:
    """What episodes are made of, in training and in validation.

    Attributes:
        n_shots: Shots of an episode, of other images than its query.
        size_px: Side of the square that the network sees.
        rule: What makes a label of a grey mask.
        limits: Bounds on the images that are read.
    """

    n_shots: int = 1
    size_px: int = 200
    rule: LabelRule = "eq255"
    limits: ImageLimits = field(default_factory=ImageLimits)


class FoldEpisodes:
    """Batches of episodes by number: the first image of an episode is its query, the others its shots.

    Images are read once and held: a benchmark has some hundreds of 200 px.

    Args:
        classes: Classes to train on.
        form: Of the episodes.
        n_episodes: Episodes in a batch; what is left at the end of an epoch is dropped.
        seed: Decides order, shots and augmentation.

    Raises:
        DatasetError: Fewer images than a batch holds.
    """

    def __init__(self, classes: Sequence[DefectClass], form: EpisodeForm, *, n_episodes: int, seed: int) -> None:
        self._shots = [[read_shot(pair, form.rule, form.limits) for pair in found.pairs] for found in classes]
        self._groups = [[pair.group for pair in found.pairs] for found in classes]
        self._listed = [(c, i) for c, shots in enumerate(self._shots) for i in range(len(shots))]
        self._form, self._n_episodes, self._seed = form, n_episodes, seed
        if not self.batches_per_epoch:
            raise DatasetError(f"{len(self._listed)} images to train on, and a batch takes {n_episodes}; add images")

    @property
    def batches_per_epoch(self) -> int:
        """Whole batches in one pass over the list."""
        return len(self._listed) // self._n_episodes

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Images (B, 1 + K, 3, S, S) uint8 RGB and masks (B, 1 + K, S, S) uint8 in {0, 1, 255}."""
        epoch, batch = divmod(index, self.batches_per_epoch)
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._listed))
        random = np.random.default_rng([self._seed, epoch, batch])
        chosen = order[batch * self._n_episodes : (batch + 1) * self._n_episodes]
        shots = [shot for place in chosen for shot in self._episode(*self._listed[int(place)], random)]
        images = torch.from_numpy(np.stack([shot.image for shot in shots])).permute(0, 3, 1, 2)
        masks = torch.from_numpy(np.stack([shot.mask for shot in shots]))
        shape = (self._n_episodes, 1 + self._form.n_shots)
        return images.unflatten(0, shape).contiguous(), masks.unflatten(0, shape)

    def _episode(self, class_index: int, query: int, random: np.random.Generator) -> list[Shot]:
        support = draw_support(self._groups[class_index], query, self._form.n_shots, random)
        images = (self._shots[class_index][place] for place in (query, *support))
        return [augmented(shot, self._form.size_px, random) for shot in images]


def draw_support(groups: Sequence[str], query: int, n_shots: int, random: np.random.Generator) -> list[int]:
    """Shots for a query: distinct, never the query itself, and of other groups than its own where an index names them.

    Args:
        groups: Group of each image of the class; an image without an index is its own group.
        query: Place of the query.
        n_shots: K.
        random: Decides the draw.
    """
    others = [place for place, group in enumerate(groups) if group != groups[query]]
    if len(others) < n_shots:
        raise DatasetError(
            f"{n_shots} shots beside {groups[query]} need as many images of other groups, there are {len(others)}"
        )
    return [others[place] for place in random.choice(len(others), n_shots, replace=False)]


def group_faults(classes: Sequence[DefectClass], n_shots: int) -> list[str]:
    """Classes in which some image has too few others of other groups to support it."""
    return [
        f"class {found.name}: {n_shots}-shot needs {n_shots} images outside the largest group"
        for found in classes
        if found.pairs and len(found.pairs) - _largest_group(found.pairs) < n_shots
    ]


def _largest_group(pairs: Sequence[LabelledImage]) -> int:
    groups = [pair.group for pair in pairs]
    return max(groups.count(group) for group in set(groups))
