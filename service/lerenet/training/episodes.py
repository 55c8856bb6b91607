"""From the step's number to its batch: plates made in worker processes, and which image supports which query."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from lerenet.network.lerenet import IGNORE_INDEX
from lerenet.synthetic import EpisodeGenerator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_PREFETCHED_BATCHES = 4
_UNLIMITED_STEPS = 2**40


class EpisodeSource(Protocol):
    """Anything that makes the same batch again from the same number."""

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Images (B, N, 3, S, S) uint8 RGB and masks (B, N, S, S) uint8 in {0, 1}."""
        ...


class SyntheticEpisodes(Dataset[tuple["Tensor", "Tensor"]]):
    """Batches of synthetic episodes by number.

    Args:
        seed: Of the plates.
        size_px: Side of the plates.
        n_images: Images in an episode.
        n_episodes: Episodes in a batch.
        device: Where plates are made.
    """

    def __init__(self, *, seed: int, size_px: int, n_images: int, n_episodes: int, device: torch.device) -> None:
        self._n_episodes = n_episodes
        self._generator = EpisodeGenerator(seed=seed, size_px=size_px, n_images=n_images, device=device)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        batch = self._generator.batch(index, self._n_episodes)
        return batch.images, batch.masks


class Batch(NamedTuple):
    """Episodes of one step.

    Attributes:
        images: (B, N, 3, S, S) uint8 RGB.
        masks: (B, N, S, S) uint8 in {0, 1}.
        made_s: Seconds that making them took, in whichever process did; on CUDA, that queueing the work took.
    """

    images: Tensor
    masks: Tensor
    made_s: float


@dataclass(frozen=True)
class _TimedSource(Dataset[Batch]):
    source: EpisodeSource

    def __getitem__(self, index: int) -> Batch:
        started = time.perf_counter()
        images, masks = self.source[index]
        return Batch(images, masks, time.perf_counter() - started)


def iterate_batches(source: EpisodeSource, first: int, n_steps: int, num_workers: int) -> Iterator[Batch]:
    """The batches `first`, `first + 1`, ... in order, whatever the number of workers.

    Args:
        source: Sent to the workers, so it must pickle when there are any.
        first: Number of the first batch, which is the step a resumed run is at.
        n_steps: Batches in the whole run; 0 for no end.
        num_workers: Worker processes, one thread each; 0 makes batches here.
    """
    # A clean server process starts the workers: a fork would copy the locks of torch's running threads.
    in_workers = (
        {"multiprocessing_context": "forkserver", "prefetch_factor": _PREFETCHED_BATCHES} if num_workers else {}
    )
    loader: DataLoader[Batch] = DataLoader(
        _TimedSource(source),
        batch_size=None,
        sampler=range(first, n_steps or _UNLIMITED_STEPS),
        num_workers=num_workers,
        worker_init_fn=_start_worker,
        **in_workers,  # type: ignore[arg-type]
    )
    return iter(loader)


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)
    # The terminal's interrupt reaches the workers too, but it is for the training process, which ends them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@dataclass(frozen=True, slots=True)
class SupportDraw:
    """Which images are queries and which support them, counted over the B * N images of a batch.

    Attributes:
        query: (P,) int64.
        support: (P, K) int64.
    """

    query: Tensor
    support: Tensor

    def to(self, device: torch.device) -> SupportDraw:
        """The same draw on a device."""
        return SupportDraw(self.query.to(device), self.support.to(device))


def draw_supports(has_defect: Tensor, n_shots: int, random: np.random.Generator) -> SupportDraw:
    """Makes every image a query in turn, with shots drawn from the other images of its episode that show a defect.

    Where fewer than `n_shots` others show one, they repeat. An image without any such other is no query.

    Args:
        has_defect: (B, N), not 0 where the image shows the defect.
        n_shots: K, at least 1.
        random: Decides the draw.
    """
    marked = has_defect.cpu().numpy().astype(bool)
    b, n = marked.shape
    usable = marked[:, None, :] & ~np.eye(n, dtype=bool)
    n_usable = usable.sum(axis=2)
    shuffled = np.argsort(np.where(usable, random.random((b, n, n)), np.inf), axis=2)
    turn = np.arange(n_shots) % np.maximum(n_usable, 1)[..., None]
    support = np.take_along_axis(shuffled, turn, axis=2) + n * np.arange(b)[:, None, None]
    query = np.flatnonzero(n_usable)
    return SupportDraw(torch.from_numpy(query), torch.from_numpy(support.reshape(b * n, n_shots)[query]))


def pad_to_stride(images: Tensor, masks: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Pads right and bottom to multiples of the network's stride.

    Args:
        images: (M, 3, H, W) float32; repeated at the edge.
        masks: (M, H, W) uint8; the padding holds `IGNORE_INDEX`.
        stride: In pixels.
    """
    h, w = masks.shape[-2:]
    padding = (0, -w % stride, 0, -h % stride)
    if not any(padding):
        return images, masks
    return functional.pad(images, padding, mode="replicate"), functional.pad(masks, padding, value=IGNORE_INDEX)
