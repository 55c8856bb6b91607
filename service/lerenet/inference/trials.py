"""A support set against itself: its shots and normals segmented by encodings that have not seen them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lerenet.imaging import Shot
from lerenet.inference.assessment import RegionTally
from lerenet.inference.geometry import to_probability

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from lerenet.inference.runner import NetworkRunner
    from lerenet.inference.support_view import SupportView
    from lerenet.network import Features, SupportEncoding


def turned(shot: Shot) -> list[Shot]:
    """A shot turned by a quarter, a half and three quarters: what a single one is tried on."""
    return [
        Shot(np.ascontiguousarray(np.rot90(shot.image, n)), np.ascontiguousarray(np.rot90(shot.mask, n)))
        for n in (1, 2, 3)
    ]


def try_support(runner: NetworkRunner, view: SupportView, copies: SupportView | None, ratio: int) -> RegionTally:
    """Counts what a support set gets right and wrong about itself.

    Args:
        runner: Runs the network; features are computed once per crop.
        view: The support set.
        copies: What its shots are tried on as a whole; None tries each shot with the encoding of the others.
        ratio: Original pixels per working pixel.
    """
    trial = _Trial(runner, view, runner.features(view.crops), runner.features(view.normals) if view.normals else None)
    tally = RegionTally(ratio, is_unseen=copies is None)
    if copies is None:
        trial.count_shots(tally)
    else:
        trial.count_copies(copies, tally)
    trial.count_normals(tally)
    return tally


@dataclass(frozen=True, eq=False)
class _Trial:
    runner: NetworkRunner
    view: SupportView
    features: Features
    plain: Features | None

    def count_shots(self, tally: RegionTally) -> None:
        for shot in dict.fromkeys(self.view.owners):
            held_out, kept = self.view.split(shot)
            self._count(self.features, self.view, held_out, self._encoding(kept, self.plain), tally)

    def count_copies(self, copies: SupportView, tally: RegionTally) -> None:
        encoding = self._encoding(range(len(self.view.crops)), self.plain)
        self._count(self.runner.features(copies.crops), copies, range(len(copies.crops)), encoding, tally)

    def count_normals(self, tally: RegionTally) -> None:
        if self.plain is None:
            return
        for normal in dict.fromkeys(self.view.normal_owners):
            held_out, kept = self.view.split_normals(normal)
            others = self.plain.select(torch.tensor(kept, device=self.view.masks.device)) if kept else None
            encoding = self._encoding(range(len(self.view.crops)), others)
            tally.add_normal(q for q, _ in self._maps(self.plain, held_out, encoding))

    def _encoding(self, crops: Sequence[int], plain: Features | None) -> SupportEncoding:
        return self.runner.summarise(self.features, self.view.masks, plain, crops)

    def _count(
        self,
        features: Features,
        view: SupportView,
        crops: Sequence[int],
        encoding: SupportEncoding,
        tally: RegionTally,
    ) -> None:
        for q, crop in self._maps(features, crops, encoding):
            tally.add(q, view.masks[crop].cpu().numpy())

    def _maps(
        self, features: Features, crops: Sequence[int], encoding: SupportEncoding
    ) -> Iterator[tuple[NDArray[np.uint8], int]]:
        """Maps of some crops, each with its place among all."""
        for part in self.runner.batches(crops, features.size):
            logits = self.runner.logits(features, [encoding] * len(part), part)
            yield from zip(to_probability(logits), part, strict=True)
