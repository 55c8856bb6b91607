"""Measures methods on the classes of a folder, all by one protocol and on the same draws."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from lerenet import __version__
from lerenet.datasets.reading import find_unmarked, read_shot
from lerenet.evaluation.measurement import Answer, add_answer, answer_draws, asked_images, encode_draws
from lerenet.evaluation.metrics import Tally
from lerenet.evaluation.protocol import plan_draws
from lerenet.evaluation.report import ClassSummary, MethodResult, Report
from lerenet.evaluation.sheets import ClassSheet, SheetRow, shrink_mask, shrink_shot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lerenet.datasets.folder import DefectClass, LabelledImage
    from lerenet.evaluation.methods import Method
    from lerenet.evaluation.protocol import EvaluationConfig, SupportDraw
    from lerenet.imaging.masks import Mask
    from lerenet.imaging.shots import Shot

SHEET_QUERIES, SHEET_NORMALS = 6, 2


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of an evaluation.

    Attributes:
        method: Name of the method at work.
        class_name: Class at work.
        n_done: Images done, over all methods and classes.
        n_total: Images to do.
    """

    method: str
    class_name: str
    n_done: int
    n_total: int


def evaluate(
    methods: Sequence[Method],
    classes: Sequence[DefectClass],
    config: EvaluationConfig,
    progress: Callable[[Step], None] = lambda step: None,
    *,
    note: str = "",
    conditions: Mapping[str, str] | None = None,
) -> Report:
    """Runs the protocol.

    Args:
        methods: What is compared; each gets the same support sets and queries.
        classes: Classes of the data set, from `open_folder`.
        config: What is measured.
        progress: Called after each batch of images.
        note: What the numbers are for, such as `tuning` or `final`; stands in table and report.
        conditions: What else made the numbers: weights and their digest, device, precision. Versions are added.

    Raises:
        DatasetError: A class cannot serve the protocol, told before anything is segmented, or an image cannot be read.
    """
    plans = [_plan(defect_class, config) for defect_class in classes]
    meter = _Meter(progress, len(methods) * sum(plan.n_images for plan in plans))
    results = tuple(_run(method, plans, config, meter) for method in methods)
    return Report(
        config=config,
        note=note,
        conditions=_versions() | dict(conditions or {}),
        classes=tuple(plan.summary for plan in plans),
        results=results,
        sheets=tuple(plan.sketch.sheet(plan, config) for plan in plans),
    )


def _versions() -> dict[str, str]:
    return {"lerenet": __version__, "torch": torch.__version__, "threads": str(torch.get_num_threads())}


@dataclass(eq=False)
class _Meter:
    """Counts images over the whole run for `progress`."""

    progress: Callable[[Step], None]
    n_total: int
    n_done: int = 0

    def advance(self, method: str, class_name: str, n_images: int) -> None:
        self.n_done += n_images
        self.progress(Step(method, class_name, self.n_done, self.n_total))


@dataclass(frozen=True, eq=False)
class _Sketch:
    """What the sheet of a class shows, gathered while the methods run: some queries and normals of the first draw."""

    draw: SupportDraw
    truths: dict[LabelledImage, Shot] = field(default_factory=dict)
    masks: dict[LabelledImage, dict[str, Mask]] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[LabelledImage, ...]:
        return (*self.draw.queries[:SHEET_QUERIES], *self.draw.normals[:SHEET_NORMALS])

    def note(self, method: str, answer: Answer) -> None:
        if answer.support_set.draw is self.draw and answer.image in self.shown:
            self.truths.setdefault(answer.image, shrink_shot(answer.truth))
            title = f"{method} {answer.support_set.n_shots}-shot"
            self.masks.setdefault(answer.image, {})[title] = shrink_mask(answer.mask)

    def sheet(self, plan: _Plan, config: EvaluationConfig) -> ClassSheet:
        support = (shrink_shot(read_shot(image, config.label_rule, config.limits)) for image in self.draw.support)
        rows = (SheetRow(self.truths[image], self.masks[image]) for image in self.shown)
        return ClassSheet(plan.defect_class.name, tuple(support), tuple(rows))


@dataclass(frozen=True, eq=False)
class _Plan:
    defect_class: DefectClass
    unmarked: frozenset[str]
    draws: tuple[SupportDraw, ...]
    sketch: _Sketch

    @property
    def n_images(self) -> int:
        return len(asked_images(self.draws))

    @property
    def summary(self) -> ClassSummary:
        images = self.defect_class
        return ClassSummary(
            name=images.name,
            n_images=len(images.pairs),
            n_unmarked=len(self.unmarked),
            n_groups=images.n_groups,
            is_grouped=images.is_grouped,
            n_normals=len(images.normals),
            n_queries=max(len(draw.queries) for draw in self.draws),
        )


def _plan(defect_class: DefectClass, config: EvaluationConfig) -> _Plan:
    unmarked = find_unmarked(defect_class, config.label_rule, config.limits)
    draws = plan_draws(defect_class, config, unmarked)
    return _Plan(defect_class, unmarked, draws, _Sketch(draws[0]))


def _run(method: Method, plans: Sequence[_Plan], config: EvaluationConfig, meter: _Meter) -> MethodResult:
    started = time.perf_counter()
    tallies = tuple(tally for plan in plans for tally in _tally(method, plan, config, meter))
    return MethodResult(method.name, tallies, time.perf_counter() - started)


def _tally(method: Method, plan: _Plan, config: EvaluationConfig, meter: _Meter) -> Iterator[Tally]:
    name = plan.defect_class.name
    support_sets = encode_draws(method.segmenter, plan.draws, config)
    tallies = {
        s: Tally(name, s.draw.seed, s.draw.index, s.n_shots, s.rule.threshold, min_score=s.rule.min_score)
        for s in support_sets
    }
    for answer in answer_draws(method.segmenter, support_sets, config, lambda n: meter.advance(method.name, name, n)):
        tallies[answer.support_set] = add_answer(tallies[answer.support_set], answer)
        plan.sketch.note(method.name, answer)
    yield from tallies.values()
