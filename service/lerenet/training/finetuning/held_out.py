"""How weights do on the held-out part of a folder, segmented as the service would, and on held-out plates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lerenet.datasets.reading import read_shot
from lerenet.imaging.images import ImageLimits
from lerenet.imaging.masks import mask_from_probability
from lerenet.imaging.overlap import OverlapCounts, overlap
from lerenet.inference.segmenter import SegmentationJob, Segmenter
from lerenet.training.validation import FALSE_ALARM_AREA, HeldOutPlates, Judgement, ValidationReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from lerenet.datasets.folder import DefectClass, LabelledImage
    from lerenet.datasets.labels import LabelRule
    from lerenet.imaging.shots import Shot
    from lerenet.network.lerenet import LERENet
    from lerenet.training.finetuning.split import FolderSplit

N_DRAWS, MAX_SHOTS = 2, 5
MAX_QUERIES, MAX_NORMALS = 24, 24
_THRESHOLD = 0.5
_LIMITS = ImageLimits()


@dataclass(frozen=True, slots=True)
class FolderJudgement(Judgement):
    """What both held-out parts say.

    Attributes:
        iou_one_shot: Mean over the classes of the IoU pooled over held-out images and support draws, with 1 shot.
        iou_several_shots: The same with up to `MAX_SHOTS`.
        iou_synthetic: IoU on held-out synthetic plates, mean of 1 shot and several.
        false_alarm_rate: Share of held-out defect-free images with more than `FALSE_ALARM_AREA` marked; None without.
        class_iou: Mean of both settings for each class by name.
        n_queries: Held-out marked images.
        n_normals: Held-out defect-free images, each asked once for every class that has it.
    """

    iou_one_shot: float
    iou_several_shots: float
    iou_synthetic: float
    false_alarm_rate: float | None
    class_iou: dict[str, float]
    n_queries: int
    n_normals: int

    @property
    def iou_real(self) -> float:
        """On the folder: mean of both numbers of shots."""
        return (self.iou_one_shot + self.iou_several_shots) / 2

    @property
    def iou(self) -> float:
        """What the best weights are chosen by: the folder and the plates count alike."""
        return (self.iou_real + self.iou_synthetic) / 2

    def describe(self) -> str:
        """See `Judgement`."""
        alarms = "" if self.false_alarm_rate is None else f" · false alarms {self.false_alarm_rate:.1%}"
        return (
            f"held-out IoU {self.iou_one_shot:.3f} with 1 shot, {self.iou_several_shots:.3f} with several · "
            f"plates {self.iou_synthetic:.3f}{alarms}"
        )


@dataclass(frozen=True, eq=False)
class _Asked:
    """A class with its support draws and what they are asked."""

    name: str
    draws: tuple[tuple[LabelledImage, ...], ...]
    queries: tuple[LabelledImage, ...]
    normals: tuple[LabelledImage, ...]


class HeldOutFolder:
    """The held-out part of a folder, with fixed support draws from the part that is learnt from.

    Images are read at each validation: a few large frames would fill the memory.

    Args:
        split: Of the folder.
        plates: Held-out synthetic plates.
        rule: What makes a label of a grey mask.
        seed: Decides the draws.
    """

    def __init__(self, split: FolderSplit, plates: HeldOutPlates, rule: LabelRule, seed: int) -> None:
        self._plates = plates
        self._rule: LabelRule = rule
        self._classes = [
            _ask(learnt, held, np.random.default_rng([seed, place]))
            for place, (learnt, held) in enumerate(zip(split.learnt, split.held_out, strict=True))
        ]

    def validate(self, network: LERENet, device: torch.device) -> FolderJudgement:
        """Measures a network in evaluation mode. Calls with equal weights give equal judgements."""
        segmenter = Segmenter(network, device, precision="float32")
        answers = {asked.name: self._measure(segmenter, asked) for asked in self._classes}
        by_setting = [[ious[setting] for ious, _ in answers.values()] for setting in range(2)]
        alarms = [alarm for _, found in answers.values() for alarm in found]
        plates: ValidationReport = self._plates.validate(network, device)
        return FolderJudgement(
            iou_one_shot=_mean(by_setting[0]),
            iou_several_shots=_mean(by_setting[1]),
            iou_synthetic=plates.iou,
            false_alarm_rate=_mean(alarms) if alarms else None,
            class_iou={name: _mean(ious) for name, (ious, _) in answers.items()},
            n_queries=sum(len(asked.queries) for asked in self._classes),
            n_normals=sum(len(asked.normals) for asked in self._classes),
        )

    def _measure(self, segmenter: Segmenter, asked: _Asked) -> tuple[tuple[float, float], list[float]]:
        """IoU with one shot and with several, and for each defect-free image the share of false alarms."""
        draws = [[self._read(image) for image in draw] for draw in asked.draws]
        encodings = tuple(segmenter.encode(shots[:n]) for n in (1, MAX_SHOTS) for shots in draws)
        counts, alarms = [OverlapCounts() for _ in encodings], []
        for image in (*asked.queries, *asked.normals):
            shot = self._read(image)
            [maps] = segmenter.segment([SegmentationJob(shot.image, encodings)])
            masks = [mask_from_probability(q, _THRESHOLD) for q in maps]
            if image.mask_path is None:
                alarms.append(_mean([float(mask.mean() > FALSE_ALARM_AREA) for mask in masks]))
            else:
                counts = [total + overlap(mask, shot.mask) for total, mask in zip(counts, masks, strict=True)]
        one, several = (sum(part, OverlapCounts()) for part in (counts[: len(draws)], counts[len(draws) :]))
        return (one.iou, several.iou), alarms

    def _read(self, image: LabelledImage) -> Shot:
        return read_shot(image, self._rule, _LIMITS)


def _ask(learnt: DefectClass, held: DefectClass, random: np.random.Generator) -> _Asked:
    draws = tuple(_draw(learnt.pairs, random) for _ in range(N_DRAWS))
    queries, normals = _some(held.pairs, MAX_QUERIES, random), _some(held.normals, MAX_NORMALS, random)
    return _Asked(learnt.name, draws, queries, normals)


def _draw(pairs: Sequence[LabelledImage], random: np.random.Generator) -> tuple[LabelledImage, ...]:
    """Up to `MAX_SHOTS` images of distinct groups."""
    by_group = {pairs[place].group: pairs[place] for place in random.permutation(len(pairs))}
    return tuple(by_group.values())[:MAX_SHOTS]


def _some(images: Sequence[LabelledImage], n_most: int, random: np.random.Generator) -> tuple[LabelledImage, ...]:
    return tuple(images[place] for place in sorted(random.permutation(len(images))[:n_most]))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
