"""The authors' measuring: one pass over a list of queries, one random support set for each, class IoU pooled.

Source: DingH2E/LDMP-RENet-main @5b9e585, as in PFENet, which it derives from. We differ: their counter runs one episode
    past the list, ours ends with it; draws come from numpy; mIoU and FB-IoU are of the same weights.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from lerenet.datasets.reading import read_shot
from lerenet.imaging.overlap import OverlapCounts, overlap
from lerenet.network.lerenet import IGNORE_INDEX
from lerenet.training.benchmark.augmentation import fitted, square_target
from lerenet.training.benchmark.episodes import draw_support
from lerenet.training.benchmark.learner import segment_episodes
from lerenet.training.validation import Judgement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from lerenet.datasets.folder import DefectClass
    from lerenet.imaging.masks import Mask
    from lerenet.network.lerenet import LERENet
    from lerenet.training.benchmark.episodes import EpisodeForm

_BATCH = 4


@dataclass(frozen=True, slots=True)
class FoldReport(Judgement):
    """What one or several passes found.

    Attributes:
        miou: Mean over the classes of their pooled IoU, and over the passes.
        fb_iou: Mean of pooled foreground and pooled background IoU over all queries, and over the passes.
        class_iou: Pooled IoU of each class by name, mean over the passes.
        miou_sd: Sample standard deviation of mIoU over the passes; None for one pass.
        n_queries: Queries of a pass.
        n_unmarked: Those of them in which the label rule marks nothing.
    """

    miou: float
    fb_iou: float
    class_iou: dict[str, float]
    miou_sd: float | None
    n_queries: int
    n_unmarked: int

    @property
    def iou(self) -> float:
        """What a checkpoint is chosen by."""
        return self.miou

    def describe(self) -> str:
        """See `Judgement`."""
        spread = "" if self.miou_sd is None else f" ± {self.miou_sd:.3f} over the draws"
        return f"mIoU {self.miou:.3f}{spread}, FB-IoU {self.fb_iou:.3f} on {', '.join(self.class_iou)}"


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Images of a class as the network takes them, and what its logits are held against."""

    name: str
    groups: tuple[str, ...]
    images: Tensor
    masks: Tensor
    targets: tuple[Mask, ...]


class OnePass:
    """A fixed set of episodes: every image of some classes as query, with shots drawn from its class.

    Args:
        classes: What is measured, in the order of the list.
        form: Of the episodes.
        seeds: One pass for each; each decides the support of every query.
    """

    def __init__(self, classes: Sequence[DefectClass], form: EpisodeForm, seeds: Sequence[int]) -> None:
        self._n_shots, self._seeds = form.n_shots, tuple(seeds)
        self._classes = [_fit(found, form) for found in classes]

    @torch.no_grad()
    def validate(
        self, network: LERENet, device: torch.device, on_queries: Callable[[int], None] = lambda n: None
    ) -> FoldReport:
        """Measures a network in evaluation mode.

        Args:
            network: On `device`.
            device: Where it is.
            on_queries: Told of each batch how many queries it held.
        """
        passes = [
            {found.name: self._measure(found, seed, network, device, on_queries) for found in self._classes}
            for seed in self._seeds
        ]
        mious = [math.fsum(counts.iou for counts in by_class.values()) / len(by_class) for by_class in passes]
        pooled = [sum(by_class.values(), OverlapCounts()) for by_class in passes]
        return FoldReport(
            miou=float(np.mean(mious)),
            fb_iou=float(np.mean([(counts.iou + counts.background_iou) / 2 for counts in pooled])),
            class_iou={
                found.name: float(np.mean([by_class[found.name].iou for by_class in passes])) for found in self._classes
            },
            miou_sd=float(np.std(mious, ddof=1)) if len(mious) > 1 else None,
            n_queries=sum(len(found.targets) for found in self._classes),
            n_unmarked=sum(not (target == 1).any() for found in self._classes for target in found.targets),
        )

    def _measure(
        self, found: _Fitted, seed: int, network: LERENet, device: torch.device, on_queries: Callable[[int], None]
    ) -> OverlapCounts:
        counts = OverlapCounts()
        places = range(len(found.targets))
        for part in (places[start : start + _BATCH] for start in places[::_BATCH]):
            episodes = torch.tensor([self._episode(found, seed, query) for query in part])
            logits = segment_episodes(network, found.images[episodes], found.masks[episodes], device)
            counts = sum(_counted(logits, [found.targets[query] for query in part]), counts)
            on_queries(len(part))
        return counts

    def _episode(self, found: _Fitted, seed: int, query: int) -> list[int]:
        """The query and its shots, by place: the same in every pass with this seed, whatever is measured beside it."""
        key = hashlib.sha256(f"{found.name}\0{query}\0{seed}".encode()).digest()
        return [query, *draw_support(found.groups, query, self._n_shots, np.random.default_rng(list(key)))]


def _fit(found: DefectClass, form: EpisodeForm) -> _Fitted:
    shots = [read_shot(pair, form.rule, form.limits) for pair in found.pairs]
    small = [fitted(shot, form.size_px) for shot in shots]
    return _Fitted(
        found.name,
        tuple(pair.group for pair in found.pairs),
        torch.from_numpy(np.stack([shot.image for shot in small])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([shot.mask for shot in small])),
        tuple(square_target(shot.mask) for shot in shots),
    )


def _counted(logits: Tensor, targets: Sequence[Mask]) -> Iterator[OverlapCounts]:
    for each, target in zip(logits, targets, strict=True):
        whole = functional.interpolate(each[None], size=target.shape, mode="bilinear", align_corners=True)[0]
        predicted = (whole[1] > whole[0]).to(torch.uint8).cpu().numpy()
        is_ignored = target == IGNORE_INDEX
        yield overlap(predicted, np.where(is_ignored, 0, target).astype(np.uint8), is_ignored.astype(np.uint8))
