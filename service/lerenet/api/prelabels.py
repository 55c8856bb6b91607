"""Predictions for tasks of Label Studio: fetch, segment, paint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lerenet.api.label_studio_host import LabelStudioHost
from lerenet.api.masks import DECIMALS
from lerenet.errors import MalformedRequest, NoSupportClasses, RequestError
from lerenet.formats.label_config import BrushControl
from lerenet.formats.label_studio import BrushResult, Prediction, brush_result, prediction
from lerenet.runtime import Finding, SegmentationQuery
from lerenet.runtime.pools import all_or_first_error
from lerenet.runtime.runtime import Runtime

MAX_IMAGES_AT_ONCE = 8
NO_CLASSES = "lerenet"
_PAGE = 1_000


class Prelabels:
    """What the labels of one configuration stand for, among the classes of now.

    Args:
        runtime: The service.
        control: The brush.
        references: `name@revision` of each class that has a label.
    """

    def __init__(self, runtime: Runtime, control: BrushControl, references: Sequence[str]) -> None:
        self._runtime = runtime
        self._control = control
        self._references = tuple(references)

    @property
    def version(self) -> str:
        """Under which Label Studio lists predictions: it changes when a class does."""
        return ",".join(self._references) or NO_CLASSES

    def require_classes(self) -> None:
        """Refuses when no label stands for a class.

        Raises:
            NoSupportClasses: There is nothing to look for.
        """
        if not self._references:
            labels = "any" if self._control.labels is None else ", ".join(self._control.labels)
            detail = (
                f"no registered class has a label; labels are for {labels[:200]}: register one, or set predicted_values"
            )
            raise NoSupportClasses(detail)

    async def predict(self, tasks: Sequence[dict[str, Any]], host: LabelStudioHost) -> list[Prediction]:
        """Predictions of tasks, in order, all or none.

        Args:
            tasks: The data of each.
            host: Where their images are.

        Raises:
            RequestError: An image cannot be had or read; the pointer names the task.
            ServiceError: Label Studio does not hand it out.
            Unavailable: No room, no time, or not ready.
            DeviceFailed: The device is lost.
        """
        step = min(MAX_IMAGES_AT_ONCE, self._runtime.settings.max_images)
        made: list[Prediction] = []
        for start in range(0, len(tasks), step):
            made += await self._predict_some(tasks[start : start + step], start, host)
        return made

    async def _predict_some(
        self, tasks: Sequence[dict[str, Any]], start: int, host: LabelStudioHost
    ) -> list[Prediction]:
        runtime = self._runtime
        pointers = [f"/tasks/{start + i}/data" for i in range(len(tasks))]
        async with runtime.work(runtime.settings.deadline_s) as work:
            with runtime.bodies.share() as share:
                addresses = [self._address(task, pointer) for task, pointer in zip(tasks, pointers, strict=True)]
                fetches = [host.fetch(each, share, pointer) for each, pointer in zip(addresses, pointers, strict=True)]
                files = await all_or_first_error(fetches)
                query = SegmentationQuery(self._references)
                try:
                    frames = await runtime.segment(work, files, query, self._painted)
                except RequestError as error:
                    error.pointer = _of_task(error.pointer, pointers)
                    raise
        return [self._prediction(frame.classes) for frame in frames]

    def _address(self, data: dict[str, Any], pointer: str) -> str:
        named = self._control.image_field
        texts = (each for each in data.values() if isinstance(each, str))
        address = next(texts, None) if named is None else data.get(named)
        if not isinstance(address, str) or not address:
            raise MalformedRequest(f"the task has no address of an image under {named or 'any field'}", pointer=pointer)
        return address

    def _painted(self, finding: Finding) -> tuple[float, BrushResult | None]:
        found, score = finding.segmented, round(finding.segmented.score, DECIMALS)
        label = self._control.label_of(finding.name)
        if found.bbox is None or label is None:
            return score, None
        names = (self._control.from_name, self._control.to_name)
        return score, brush_result(found.mask, label, score, names=names, region_id=f"lerenet-{finding.name}")

    def _prediction(self, painted: Sequence[tuple[float, BrushResult | None]]) -> Prediction:
        results = [result for _, result in painted if result is not None]
        return prediction(results, self.version, max(score for score, _ in painted))


async def prelabels(runtime: Runtime, control: BrushControl) -> Prelabels:
    """What a configuration's labels stand for now."""
    references: list[str] = []
    cursor: str | None = None
    while True:
        page = await runtime.registry.list(cursor, _PAGE)
        records = (each.record for each in page.classes)
        references += [f"{each.name}@{each.revision}" for each in records if control.label_of(each.name) is not None]
        cursor = page.next
        if cursor is None:
            return Prelabels(runtime, control, references)


def _of_task(pointer: str | None, pointers: Sequence[str]) -> str | None:
    """The place of a fault, which the runtime knows as the number of an image."""
    by_image: Iterator[tuple[str, str]] = ((f"/images/{i}", each) for i, each in enumerate(pointers))
    return dict(by_image).get(pointer or "", pointer)
