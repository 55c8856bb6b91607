"""The one protocol by which our network and every baseline are measured: who supports, who is asked.

For each class and seed a few support draws are made. A draw takes as many support images as the largest number of
shots, each from another group; the 1-shot support set is the first image of the 5-shot one. Its queries are images of
groups that support nothing in this draw, the same for every number of shots: rows differ in method or shots alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from lerenet.errors import ConfigurationError, DatasetError
from lerenet.evaluation.labels import LABEL_RULES, LabelRule
from lerenet.imaging.images import ImageLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lerenet.evaluation.folder import DefectClass, LabelledImage


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What is measured.

    Attributes:
        shots: Numbers of shots, distinct, each at least 1.
        n_seeds: Seeds 0, 1, ... whose mean and spread are reported.
        n_draws: Support draws a class and seed.
        max_queries: Most query images a draw; None for all.
        max_normals: Most defect-free images a draw; None for all.
        threshold: Of the masks, 0 to 1; `suggested` takes for each support set what registration would suggest.
        label_rule: What makes a label of a grey mask.
        limits: Bounds on the images that are read.
    """

    shots: tuple[int, ...] = (1, 5)
    n_seeds: int = 3
    n_draws: int = 3
    max_queries: int | None = 60
    max_normals: int | None = 60
    threshold: float | Literal["suggested"] = 0.5
    label_rule: LabelRule = "gt127"
    limits: ImageLimits = field(default_factory=ImageLimits)

    def __post_init__(self) -> None:
        """Refuses what cannot be measured.

        Raises:
            ConfigurationError: A count below 1 or given twice, a threshold outside 0 to 1, or an unknown rule.
        """
        if not self.shots or min(self.shots) < 1 or len(set(self.shots)) < len(self.shots):
            raise ConfigurationError(f"shots are distinct numbers of at least 1, such as 1,5, not {list(self.shots)}")
        counts = (self.n_seeds, self.n_draws, self.max_queries or 1, self.max_normals or 1)
        if min(counts) < 1 or 0 in (self.max_queries, self.max_normals):
            raise ConfigurationError("seeds, draws, max_queries and max_normals are at least 1")
        if self.threshold != "suggested" and not 0 <= self.threshold <= 1:
            raise ConfigurationError(f"the threshold is `suggested` or between 0 and 1, not {self.threshold}")
        if self.label_rule not in LABEL_RULES:
            raise ConfigurationError(f"the label rule is one of {', '.join(LABEL_RULES)}, not {self.label_rule!r}")

    @property
    def max_shots(self) -> int:
        """Support images that a draw needs."""
        return max(self.shots)


@dataclass(frozen=True, slots=True)
class SupportDraw:
    """One support draw of a class with what it is asked.

    Attributes:
        seed: Seed it belongs to.
        index: Number of the draw within the seed.
        support: `max_shots` images of distinct groups; the first K are the K-shot support set.
        queries: Images with masks, of groups that are not in `support`.
        normals: Defect-free images, of groups that are not in `support`.
    """

    seed: int
    index: int
    support: tuple[LabelledImage, ...]
    queries: tuple[LabelledImage, ...]
    normals: tuple[LabelledImage, ...]


def plan_draws(
    defect_class: DefectClass, config: EvaluationConfig, unmarked: Collection[str] = ()
) -> tuple[SupportDraw, ...]:
    """Makes every draw of a class; a pure function of the class's name, ids and groups and of the config.

    Args:
        defect_class: The class.
        config: What is measured.
        unmarked: Ids of images whose mask marks nothing: they cannot support, yet are asked like any other.

    Raises:
        DatasetError: Too few groups for the largest number of shots and one query.
    """
    usable = tuple(pair for pair in defect_class.pairs if pair.id not in unmarked)
    n_usable_groups = len({pair.group for pair in usable})
    if n_usable_groups < config.max_shots or defect_class.n_groups <= config.max_shots:
        raise DatasetError(
            f"class {defect_class.name}: {config.max_shots}-shot needs {config.max_shots + 1} groups of marked images, "
            f"there are {n_usable_groups}; ask for fewer shots or leave the class out"
        )
    return tuple(
        _draw(defect_class, usable, config, seed, index)
        for seed in range(config.n_seeds)
        for index in range(config.n_draws)
    )


def _draw(
    defect_class: DefectClass, usable: Sequence[LabelledImage], config: EvaluationConfig, seed: int, index: int
) -> SupportDraw:
    rng = _generator(defect_class.name, seed, index)
    support = _support(usable, config.max_shots, rng)
    taken = {image.group for image in support}
    queries = _sample([pair for pair in defect_class.pairs if pair.group not in taken], config.max_queries, rng)
    normals = _sample([image for image in defect_class.normals if image.group not in taken], config.max_normals, rng)
    return SupportDraw(seed, index, support, queries, normals)


def _generator(name: str, seed: int, index: int) -> np.random.Generator:
    # Hashed, so that a class is drawn alike whichever other classes are measured beside it.
    return np.random.default_rng(list(hashlib.sha256(f"{name}\0{seed}\0{index}".encode()).digest()))


def _support(usable: Sequence[LabelledImage], n_images: int, rng: np.random.Generator) -> tuple[LabelledImage, ...]:
    """One image of each of `n_images` groups, in random order; every group is as likely, however many images it has."""
    groups = sorted({pair.group for pair in usable})
    chosen = [groups[i] for i in rng.permutation(len(groups))[:n_images]]
    members = [[pair for pair in usable if pair.group == group] for group in chosen]
    return tuple(images[int(rng.integers(len(images)))] for images in members)


def _sample(images: Sequence[LabelledImage], n_most: int | None, rng: np.random.Generator) -> tuple[LabelledImage, ...]:
    return tuple(images[i] for i in rng.permutation(len(images))[:n_most])
