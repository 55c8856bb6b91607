"""The one protocol by which our network and every baseline are measured: who supports, who is asked.

For each class and seed a few support draws are made. A draw takes as many support images as the largest number of
shots, each from another group; the 1-shot support set is the first image of the 5-shot one. Its queries are images of
groups that support nothing in this draw, the same for every number of shots: rows differ in method or shots alone.

A draw may register defect-free images as well. They too are of groups of their own: none that supports, is a query or
is asked for false alarms. Fewer or more of them change the queries of a draw only where a group has to leave.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from lerenet.datasets.labels import LABEL_RULES, LabelRule
from lerenet.errors import ConfigurationError, DatasetError
from lerenet.imaging.images import ImageLimits

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lerenet.datasets.folder import DefectClass, LabelledImage


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """What is measured.

    Attributes:
        shots: Numbers of shots, distinct, each at least 1.
        n_seeds: Seeds 0, 1, ... whose mean and spread are reported.
        n_draws: Support draws a class and seed.
        max_queries: Most query images a draw; None for all.
        max_normals: Most defect-free images a draw; None for all.
        n_normals: Defect-free images registered with every support set, each of another group.
        threshold: Of the masks, 0 to 1, with every region kept; `suggested` takes for each support set the threshold
            and the least score that registration would suggest.
        label_rule: What makes a label of a grey mask.
        limits: Bounds on the images that are read.
    """

    shots: tuple[int, ...] = (1, 5)
    n_seeds: int = 3
    n_draws: int = 3
    max_queries: int | None = 60
    max_normals: int | None = 60
    n_normals: int = 0
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
        if self.n_normals < 0:
            raise ConfigurationError(f"n_normals is {self.n_normals}; register 0 or more defect-free images")
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
        registered: Defect-free images that belong to the support set, of groups that are nowhere else in the draw.
    """

    seed: int
    index: int
    support: tuple[LabelledImage, ...]
    queries: tuple[LabelledImage, ...]
    normals: tuple[LabelledImage, ...]
    registered: tuple[LabelledImage, ...] = ()


def plan_draws(
    defect_class: DefectClass, config: EvaluationConfig, unmarked: Collection[str] = ()
) -> tuple[SupportDraw, ...]:
    """Makes every draw of a class; a pure function of the class's name, ids and groups and of the config.

    Args:
        defect_class: The class.
        config: What is measured.
        unmarked: Ids of images whose mask marks nothing: they cannot support, yet are asked like any other.

    Raises:
        DatasetError: Too few groups for the largest number of shots and one query, or of defect-free images.
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
    supporting = {image.group for image in support}
    queries = _shuffled([pair for pair in defect_class.pairs if pair.group not in supporting], rng)
    normals = _shuffled([image for image in defect_class.normals if image.group not in supporting], rng)
    # A class that has no defect-free images at all is measured without.
    registered = _registered(defect_class.name, normals, config.n_normals) if defect_class.normals else ()
    kept = {view_of(image, defect_class.normals) for image in registered}
    queries = [pair for pair in queries if pair.group not in kept]
    normals = [image for image in normals if view_of(image, defect_class.normals) not in kept]
    if not queries:
        raise DatasetError(
            f"class {defect_class.name}: no query is left beside {config.max_shots} shots and {config.n_normals} "
            f"normals of groups of their own; register fewer normals"
        )
    return SupportDraw(
        seed, index, support, tuple(queries[: config.max_queries]), tuple(normals[: config.max_normals]), registered
    )


def view_of(image: LabelledImage, normals: Sequence[LabelledImage]) -> str:
    """Which view a defect-free image shows: its group, or itself where one group is all that an index says of them."""
    return image.group if len({normal.group for normal in normals}) > 1 else image.id


def _registered(name: str, normals: Sequence[LabelledImage], n_normals: int) -> tuple[LabelledImage, ...]:
    """One image of each of `n_normals` views, by first appearance."""
    by_view: dict[str, LabelledImage] = {}
    for image in normals:
        by_view.setdefault(view_of(image, normals), image)
    if n_normals and len(by_view) <= n_normals:
        raise DatasetError(
            f"class {name}: {n_normals} registered normals and one to ask need {n_normals + 1} defect-free views, "
            f"there are {len(by_view)} that no shot shows; register fewer or leave the class out"
        )
    return tuple(by_view.values())[:n_normals]


def _generator(name: str, seed: int, index: int) -> np.random.Generator:
    # Hashed, so that a class is drawn alike whichever other classes are measured beside it.
    return np.random.default_rng(list(hashlib.sha256(f"{name}\0{seed}\0{index}".encode()).digest()))


def _support(usable: Sequence[LabelledImage], n_images: int, rng: np.random.Generator) -> tuple[LabelledImage, ...]:
    """One image of each of `n_images` groups, in random order; every group is as likely, however many images it has."""
    groups = sorted({pair.group for pair in usable})
    chosen = [groups[i] for i in rng.permutation(len(groups))[:n_images]]
    members = [[pair for pair in usable if pair.group == group] for group in chosen]
    return tuple(images[int(rng.integers(len(images)))] for images in members)


def _shuffled(images: Sequence[LabelledImage], rng: np.random.Generator) -> list[LabelledImage]:
    return [images[i] for i in rng.permutation(len(images))]
