"""The device's part of segmenting: features once per tile, then every class that looks at it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lerenet.inference.frame_means import FrameMeans
from lerenet.inference.geometry import enlarge, to_probability
from lerenet.inference.runner import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from lerenet.inference.blending import BlendedMap
    from lerenet.inference.jobs import Look, PreparedJobs
    from lerenet.inference.runner import NetworkRunner
    from lerenet.inference.upload import Upload
    from lerenet.network import Features, SupportEncoding

MAX_KEPT_BYTES = 512 << 20
"""Of features kept while the other tiles of their frames are looked at; what is more is computed again."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """One class on one tile: `image` is the tile's place in its batch, `index` its place in the map's grid."""

    image: int
    index: int
    map: BlendedMap
    encoding: SupportEncoding


class Mapmaker:
    """Fills the maps of prepared jobs.

    Args:
        runner: Of the network.
        frame_means: Shared terms of features that all tiles of a frame have in common; see `FrameMeans`.
        max_kept_bytes: See `MAX_KEPT_BYTES`.
    """

    def __init__(
        self, runner: NetworkRunner, frame_means: Sequence[str], *, max_kept_bytes: int = MAX_KEPT_BYTES
    ) -> None:
        self._runner = runner
        self._frame_means = frame_means
        self._max_kept_bytes = max_kept_bytes

    @torch.inference_mode()
    def fill(self, prepared: PreparedJobs) -> list[list[NDArray[np.uint8]]]:
        """Probability maps per job and class, (H, W) uint8; once for each `prepared`."""
        for batches in prepared.groups:
            for looks, features in self._features(batches):
                self._map(looks, features)
        return [[each.q for each in own] for own in prepared.maps]

    def _features(self, batches: Sequence[tuple[Sequence[Look], Upload]]) -> Iterator[tuple[Sequence[Look], Features]]:
        """Features batch by batch; those of tiles come when all tiles of their frames have been seen."""
        if not self._frame_means or all(look.frame.is_single for looks, _ in batches for look in looks):
            for looks, upload in batches:
                yield looks, self._runner.features_of(upload)
            return
        means, n_bytes = FrameMeans(self._frame_means), 0
        kept: deque[Features] = deque()
        for looks, upload in batches:
            features = self._runner.features_of(upload)
            means.add(looks, features)
            n_bytes += features.n_bytes
            if n_bytes <= self._max_kept_bytes:
                kept.append(features)
        for looks, upload in batches:
            features = kept.popleft() if kept else self._runner.features_of(upload)
            yield looks, means.spread(looks, features)

    def _map(self, looks: Sequence[Look], features: Features) -> None:
        """One batch of tiles of one size, with all their classes."""
        pairs = [
            _Pair(place, look.index, own, encoding)
            for place, look in enumerate(looks)
            for own, encoding in zip(look.maps, look.encodings, strict=True)
        ]
        for alike in grouped(pairs, lambda pair: pair.encoding.signature):
            for part in self._runner.batches(alike, features.size):
                logits = self._runner.logits(features, [pair.encoding for pair in part], [pair.image for pair in part])
                self._write(part, logits)

    def _write(self, pairs: Sequence[_Pair], logits: Tensor) -> None:
        whole = [place for place, pair in enumerate(pairs) if pair.map.is_single]
        for place, pair in enumerate(pairs):
            if not pair.map.is_single:
                pair.map.add(pair.index, logits[place])
        for alike in grouped(whole, lambda place: pairs[place].map.ratio):
            ratio = pairs[alike[0]].map.ratio
            for part in self._runner.batches(alike, (logits.shape[1] * ratio, logits.shape[2] * ratio)):
                for place, q in zip(part, to_probability(enlarge(logits[part], ratio)), strict=True):
                    pairs[place].map.write(q)
