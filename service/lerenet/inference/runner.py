"""The only place where the network runs: precision, layout, and batches of bounded size."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from lerenet.inference.acceleration import Acceleration, accelerated, settled_acceleration
from lerenet.inference.precision import numerics, settled_precision
from lerenet.inference.upload import Upload
from lerenet.network import Features, SupportEncoding

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from lerenet.inference.geometry import Crop
    from lerenet.inference.precision import Precision
    from lerenet.inference.protocol import FewShotNetwork

Item = TypeVar("Item")

MAX_BATCH_PIXELS = 1 << 20
"""Pixels, at the working scale, that go through the network at once."""


class NetworkRunner:
    """Calls a network in one precision, on crops in channels-last layout. Gradients flow where they are enabled.

    Args:
        network: On `device`, in eval mode.
        device: Where the network is.
        precision: See `settled_precision`.
        max_batch_pixels: Pixels that go through the network at once.
        on_progress: Called after each run of the network.
        acceleration: See `accelerated`.
    """

    def __init__(
        self,
        network: FewShotNetwork,
        device: torch.device,
        *,
        precision: Precision,
        max_batch_pixels: int,
        on_progress: Callable[[], None],
        acceleration: Acceleration = "auto",
    ) -> None:
        self._network = network
        self._calls = accelerated(network, settled_acceleration(acceleration, device))
        self._device = device
        self._precision = settled_precision(precision, device)
        self._max_batch_pixels = max_batch_pixels
        self._on_progress = on_progress

    def features(self, crops: Sequence[Crop]) -> Features:
        """Features of any number of crops of one size, batch by batch."""
        batches = self.batches(crops, crops[0].size)
        return _join([self.features_of(Upload.packed(part, self._device)) for part in batches])

    def features_of(self, upload: Upload) -> Features:
        """Features of one batch of crops."""
        with self._numerics():
            features = self._calls.features(upload.images(self._device))
        self._on_progress()
        return features

    def summarise(
        self, features: Features, masks: Tensor, normals: Features | None, shots: Sequence[int]
    ) -> SupportEncoding:
        """Encoding, float32, of one class from some of M support images, with masks (M, h, w) in {0, 1, 255}."""
        with self._numerics():
            encoding = self._network.summarise(features, masks, self._index(shots)[None], normals)
        return SupportEncoding({name: tensor.float() for name, tensor in encoding.tensors.items()})

    def logits(self, features: Features, encodings: Sequence[SupportEncoding], images: Sequence[int]) -> Tensor:
        """Foreground logits (P, H, W) float32 of P encodings of one signature, each with its image of the features."""
        # With every image once and in order nothing needs to be gathered, which saves a copy of all features.
        index = None if list(images) == list(range(len(features))) else self._index(images)
        with self._numerics():
            logits = self._calls.logits(features, encodings, index)
        self._on_progress()
        return logits

    def forget(self) -> None:
        """Lets go of device memory that is only held for speed."""
        self._calls.forget()

    def batches(
        self, items: Sequence[Item], size: tuple[int, int], max_pixels: int | None = None
    ) -> Iterator[Sequence[Item]]:
        """Cuts items of (h, w) pixels each into batches that hold one item at least."""
        n = max(1, min(max_pixels or self._max_batch_pixels, self._max_batch_pixels) // (size[0] * size[1]))
        for start in range(0, len(items), n):
            yield items[start : start + n]

    def _index(self, places: Sequence[int]) -> Tensor:
        return torch.tensor(places, dtype=torch.int64, device=self._device)

    def _numerics(self) -> torch.autocast:
        return numerics(self._precision, self._device)


def grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Items of one key together; order kept within a group, and by first appearance between groups."""
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())


def _join(parts: Sequence[Features]) -> Features:
    if len(parts) == 1:
        return parts[0]
    maps = tuple(torch.cat(levels) for levels in zip(*(part.maps for part in parts), strict=True))
    shared = {name: torch.cat([part.shared[name] for part in parts]) for name in parts[0].shared}
    return Features(maps, parts[0].size, shared)
