"""A support set against itself: its shots and normals, each with an encoding of the class that has not seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lerenet.imaging import Shot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lerenet.inference.runner import NetworkRunner
    from lerenet.inference.support_view import SupportView
    from lerenet.network import Features, SupportEncoding

EXPOSURE_SPREAD = 0.25
"""Standard deviation, in logarithms, of the gamma that a copy is exposed with; gain and offset go with it."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A crop whose truth is known.

    Attributes:
        features: Of this crop and others.
        crop: Its place among them.
        mask: (h, w) uint8: 1 defect, 0 background, 255 not counted.
        encoding: The class without what the crop shows.
    """

    features: Features
    crop: int
    mask: Tensor
    encoding: SupportEncoding


@dataclass(frozen=True, eq=False)
class SupportTrials:
    """All that a support set can say about itself.

    Attributes:
        whole: The class with all that is known of it.
        shots: Crops of the shots, or of their copies.
        normals: Crops of each defect-free image.
    """

    whole: SupportEncoding
    shots: list[Trial]
    normals: list[list[Trial]]

    @property
    def all(self) -> list[Trial]:
        """Every trial: shots first."""
        return [*self.shots, *(trial for trials in self.normals for trial in trials)]


def turned(shot: Shot) -> list[Shot]:
    """A shot turned by a quarter, a half and three quarters: what a single one is tried on."""
    return [_copy(shot, n) for n in (1, 2, 3)]


def varied(shot: Shot) -> list[Shot]:
    """A shot in every other position a plate can lie in, mirrored too, each in an exposure of its own."""
    random = np.random.default_rng(0)
    positions = [(n, is_mirrored) for n in range(4) for is_mirrored in (False, True)][1:]
    return [_exposed(_copy(shot, n, is_mirrored=is_mirrored), random) for n, is_mirrored in positions]


@torch.no_grad()
def summarise_support(runner: NetworkRunner, view: SupportView) -> SupportEncoding:
    """The encoding of a whole support set, untried."""
    features = runner.features(view.crops)
    plain = runner.features(view.normals) if view.normals else None
    return runner.summarise(features, view.masks, plain, range(len(view.crops)))


@torch.no_grad()
def plan_trials(runner: NetworkRunner, view: SupportView, copies: SupportView | None) -> SupportTrials:
    """Makes the encodings and features of all trials; the network's features are computed once per crop.

    Args:
        runner: Runs the network.
        view: The support set.
        copies: What its shots are tried on as a whole; None tries each shot with the encoding of the others.
    """
    features = runner.features(view.crops)
    plain = runner.features(view.normals) if view.normals else None
    everything = range(len(view.crops))
    whole = runner.summarise(features, view.masks, plain, everything)

    def of_shots() -> Iterator[Trial]:
        for shot in dict.fromkeys(view.owners):
            held_out, kept = view.split(shot)
            others = runner.summarise(features, view.masks, plain, kept)
            yield from (Trial(features, crop, view.masks[crop], others) for crop in held_out)

    def of_normals() -> Iterator[list[Trial]]:
        if plain is None:
            return
        empty = torch.zeros(plain.size, dtype=torch.uint8, device=view.masks.device)
        for normal in dict.fromkeys(view.normal_owners):
            held_out, kept = view.split_normals(normal)
            others = plain.select(torch.tensor(kept, device=view.masks.device)) if kept else None
            unseen = runner.summarise(features, view.masks, others, everything)
            yield [Trial(plain, crop, empty, unseen) for crop in held_out]

    shots = list(of_shots()) if copies is None else _of_copies(runner, copies, whole)
    return SupportTrials(whole, shots, list(of_normals()))


def _of_copies(runner: NetworkRunner, copies: SupportView, whole: SupportEncoding) -> list[Trial]:
    features = runner.features(copies.crops)
    return [Trial(features, crop, mask, whole) for crop, mask in enumerate(copies.masks)]


def _copy(shot: Shot, n_quarters: int, *, is_mirrored: bool = False) -> Shot:
    image, mask = (np.rot90(pixels, n_quarters) for pixels in (shot.image, shot.mask))
    if is_mirrored:
        image, mask = image[:, ::-1], mask[:, ::-1]
    return Shot(np.ascontiguousarray(image), np.ascontiguousarray(mask))


def _exposed(shot: Shot, random: np.random.Generator) -> Shot:
    gamma, gain = np.exp(EXPOSURE_SPREAD * random.standard_normal()), np.exp(0.6 * EXPOSURE_SPREAD * random.normal())
    offset = 0.2 * EXPOSURE_SPREAD * random.standard_normal()
    levels = ((np.linspace(0, 1, 256) ** gamma - 0.5) * gain + 0.5 + offset).clip(0, 1)
    return Shot((255 * levels).round().astype(np.uint8)[shot.image], shot.mask)
