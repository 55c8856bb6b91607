"""A contact sheet of episodes: look at the plates before believing anything trained on them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lerenet.imaging.images import Image
from lerenet.imaging.overlay import overlay, tiled
from lerenet.imaging.shots import Shot
from lerenet.synthetic.episodes import EpisodeGenerator


def episode_shots(generator: EpisodeGenerator, index: int) -> list[Shot]:
    """The N plates of one episode as images (S, S, 3) uint8 with masks (S, S) uint8 in {0, 1}."""
    batch = generator.batch(index, 1)
    return as_shots(batch.images[0], batch.masks[0])


def as_shots(images: Tensor, masks: Tensor) -> list[Shot]:
    """Plates (N, 3, S, S) uint8 with masks (N, S, S) uint8 in {0, 1}, as N pairs."""
    pixels = images.permute(0, 2, 3, 1).cpu().contiguous().numpy()
    return [Shot(image, mask) for image, mask in zip(pixels, masks.cpu().contiguous().numpy(), strict=True)]


def split_episode(plates: Sequence[Shot], n_shots: int) -> tuple[list[Shot], list[Shot]]:
    """The first marked plates as shots, all others as queries; one marked plate at least stays a query."""
    marked = [plate for plate in plates if plate.mask.any()]
    shots = marked[: max(1, min(n_shots, len(marked) - 1))]
    return shots, [plate for plate in plates if all(plate is not shot for shot in shots)]


def contact_sheet(generator: EpisodeGenerator, n_episodes: int) -> Image:
    """One row per episode: each plate beside its annotation."""
    rows = []
    for index in range(n_episodes):
        shots = episode_shots(generator, index)
        rows.append([cell for shot in shots for cell in (shot.image, overlay(shot.image, shot.mask))])
    return tiled(rows)
