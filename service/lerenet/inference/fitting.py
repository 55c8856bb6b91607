"""Fits a class's encoding to its own shots: what no training on other metal could tell the network.

An encoding is the network's first guess at a class. Here each shot is segmented by the others (a single one: copies of
it by itself), and the small tensors of the encoding are moved until those masks fit. One correction serves every
leave-one-out encoding, so that it tells how this metal differs, and not what one shot shows; it then goes onto the
encoding of all. The network's weights stay as they are, the encoding keeps its size, and a query costs nothing more.

Source: adaptation to the support set at test time, as cross-domain few-shot segmentation has it (ABCDFSS, arXiv
2402.17614, appends and trains layers). Here the class's prototypes are what is trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from lerenet.inference.runner import grouped
from lerenet.network import SupportEncoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from lerenet.inference.runner import NetworkRunner
    from lerenet.inference.trials import Trial

N_STEPS = 30
LEARNING_RATE = 0.06
"""Of Adam at the first step, as a share of a tensor's root mean square; half a cosine brings it to 0."""

STEP_PIXELS = 6 * 200 * 200
"""Pixels of a step at the working scale; one crop at least."""

DICE_SMOOTHING = 4e-4
"""Added to both sides of the Dice ratio, as a share of the area: as in training."""


class Fitting:
    """Descends step by step, so that a caller may do other work on the device in between. Keep it on one thread.

    Args:
        runner: Runs the network.
        trials: What is to come out, made under `torch.no_grad` and outside of inference mode.
        names: Tensors of the encodings that may move.
    """

    def __init__(self, runner: NetworkRunner, trials: Sequence[Trial], names: Sequence[str]) -> None:
        self._runner = runner
        tensors = trials[0].encoding.tensors
        self._scales = {name: tensors[name].square().mean().sqrt() for name in names}
        self._offsets = {name: torch.zeros_like(tensors[name], requires_grad=True) for name in names}
        self._optimiser = torch.optim.Adam(list(self._offsets.values()), lr=LEARNING_RATE)
        self._batches = _shuffled(runner, trials)
        self.n_left = N_STEPS

    def step(self) -> None:
        """One step of gradient descent on one batch of trials."""
        batch = next(self._batches)
        self.n_left -= 1
        done = 1 - (self.n_left + 1) / N_STEPS
        self._optimiser.param_groups[0]["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * done))
        with torch.enable_grad():
            encodings = [self.corrected(trial.encoding) for trial in batch]
            logits = self._runner.logits(batch[0].features, encodings, [trial.crop for trial in batch])
            loss = _loss(logits, torch.stack([trial.mask for trial in batch]))
            offsets = list(self._offsets.values())
            # gradients of these alone: the network's own parameters keep none; one without the MPR uses no nodes
            gradients = torch.autograd.grad(loss, offsets, materialize_grads=True)
            for offset, gradient in zip(offsets, gradients, strict=True):
                offset.grad = gradient
            self._optimiser.step()

    def corrected(self, encoding: SupportEncoding) -> SupportEncoding:
        """An encoding of the class with the correction so far."""
        moved = {name: encoding.tensors[name] + self._scales[name] * offset for name, offset in self._offsets.items()}
        return SupportEncoding({**encoding.tensors, **moved})


def correction(fitted: SupportEncoding, plain: SupportEncoding) -> SupportEncoding:
    """What fitting has added to an encoding."""
    return SupportEncoding({name: tensor - plain.tensors[name] for name, tensor in fitted.tensors.items()})


def add_correction(encoding: SupportEncoding, added: SupportEncoding) -> SupportEncoding:
    """Another encoding of the same class, with what fitting has added."""
    return SupportEncoding({name: tensor + added.tensors[name] for name, tensor in encoding.tensors.items()})


def _shuffled(runner: NetworkRunner, trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
    """Batches without end, each of one set of features; every trial once before any comes again."""
    random = np.random.default_rng(0)
    groups = grouped(trials, lambda trial: id(trial.features))
    while True:
        batches: list[Sequence[Trial]] = []
        for group in groups:
            order = [group[place] for place in random.permutation(len(group))]
            batches += runner.batches(order, group[0].features.size, STEP_PIXELS)
        yield from (batches[place] for place in random.permutation(len(batches)))


def _loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy plus Dice of a batch, pooled, since a crop may show little or nothing of the defect.

    Args:
        logits: (P, H, W) float32.
        masks: (P, H, W) uint8: 1 defect, 0 background, anything else not counted.
    """
    counted, truth = (masks <= 1).float(), (masks == 1).float()
    n_counted = counted.sum().clamp_min(1)
    each = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    probabilities = logits.sigmoid() * counted
    smoothing = DICE_SMOOTHING * n_counted
    overlap = (2 * (probabilities * truth).sum() + smoothing) / (probabilities.sum() + truth.sum() + smoothing)
    return (each * counted).sum() / n_counted + 1 - overlap
