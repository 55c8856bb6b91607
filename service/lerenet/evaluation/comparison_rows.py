"""Rows of a comparison: each is measured class by class, and what is measured is kept in a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lerenet.evaluation.comparison_cost import Cost, measure_cost
from lerenet.evaluation.comparison_training import write_json
from lerenet.evaluation.evaluate import evaluate
from lerenet.evaluation.methods import Method
from lerenet.evaluation.metrics import Tally
from lerenet.evaluation.report import ClassSummary, MethodResult
from lerenet.inference.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from lerenet.datasets.folder import DefectClass
    from lerenet.evaluation.evaluate import Step
    from lerenet.evaluation.protocol import EvaluationConfig
    from lerenet.inference.precision import Precision
    from lerenet.inference.protocol import FewShotNetwork


@dataclass(frozen=True, eq=False)
class Contender:
    """What becomes a row.

    Attributes:
        name: Of the row, different from every other.
        kind: `trained here`, `training-free` or `shipped`.
        digest: Sha256 of its weights; other weights are measured anew.
        build: The network, on the device and in eval mode; called only when something is left to measure.
        wrap: The same network as images of any size can be given to it.
        learning_rate: Chosen of several; None when it was not trained here.
        held_out_iou: What it was chosen by.
        n_episodes: Queries that it learned from; None when it was not trained here.
    """

    name: str
    kind: str
    digest: str
    build: Callable[[], FewShotNetwork]
    wrap: Callable[[FewShotNetwork], FewShotNetwork] = lambda network: network
    learning_rate: float | None = None
    held_out_iou: float | None = None
    n_episodes: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A measured contender.

    Attributes:
        name: Of the row.
        kind: See `Contender`.
        cost: What it costs.
        learning_rate: See `Contender`.
        held_out_iou: See `Contender`.
        n_episodes: See `Contender`.
        result: Every tally, of all classes.
        classes: What each class offered.
        conditions: Versions that the tallies were made with.
    """

    name: str
    kind: str
    cost: Cost
    learning_rate: float | None
    held_out_iou: float | None
    n_episodes: int | None
    result: MethodResult
    classes: tuple[ClassSummary, ...]
    conditions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class RowMeasurement:
    """Measures contenders by one protocol.

    Attributes:
        folder: Receives `ROW/cost.json` and a file a class.
        classes: What is measured on.
        config: How.
        side_px: Side of the image whose cost is counted.
        device: Where the networks run.
        precision: See `Segmenter`.
        progress: Told after each batch of images; may raise to end the measurement.
    """

    folder: Path
    classes: Sequence[DefectClass]
    config: EvaluationConfig
    side_px: int
    device: torch.device
    precision: Precision
    progress: Callable[[Step], None]

    def measure(self, contender: Contender) -> Row:
        """The row; classes that are measured already are read.

        Raises:
            DatasetError: A class cannot serve the protocol, or an image cannot be read.
        """
        folder = self.folder / contender.name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        held = _Held(contender, self)
        cost = held.keep(folder / "cost.json", {"side_px": self.side_px}, held.count)
        parts = [self._class(held, folder, defect_class) for defect_class in self.classes]
        tallies = tuple(Tally.from_document(tally) for part in parts for tally in part["tallies"])
        return Row(
            name=contender.name,
            kind=contender.kind,
            cost=Cost(**cost),
            learning_rate=contender.learning_rate,
            held_out_iou=contender.held_out_iou,
            n_episodes=contender.n_episodes,
            result=MethodResult(contender.name, tallies, sum(part["wall_s"] for part in parts)),
            classes=tuple(ClassSummary(**part["summary"]) for part in parts),
            conditions=parts[0]["conditions"],
        )

    def _class(self, held: _Held, folder: Path, defect_class: DefectClass) -> dict[str, Any]:
        made_with = {
            "config": json.loads(json.dumps(asdict(self.config))),
            "images": _listing(defect_class),
            "precision": self.precision,
        }
        path = folder / f"class-{defect_class.name.replace('/', '-')}.json"
        return held.keep(path, made_with, lambda: held.segment(defect_class))


class _Held:
    """A contender whose network is built when it is first needed."""

    def __init__(self, contender: Contender, measurement: RowMeasurement) -> None:
        self._contender = contender
        self._measurement = measurement
        self._network: FewShotNetwork | None = None

    def keep(self, path: Path, made_with: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What the file holds, when it was made with the same weights and settings; otherwise it is made anew."""
        made_with = {"weights_digest": self._contender.digest, **made_with}
        if path.exists():
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if document["made_with"] == made_with:
                found: dict[str, Any] = document["found"]
                return found
        found = json.loads(json.dumps(make()))
        write_json(path, {"made_with": made_with, "found": found})
        return found

    def count(self) -> dict[str, Any]:
        place = self._measurement
        return asdict(measure_cost(self._built(), place.side_px, place.device))

    def segment(self, defect_class: DefectClass) -> dict[str, Any]:
        place = self._measurement
        network = self._contender.wrap(self._built())
        method = Method(self._contender.name, Segmenter(network, place.device, precision=place.precision))
        report = evaluate([method], [defect_class], place.config, place.progress)
        [result], [summary] = report.results, report.classes
        return {
            "summary": asdict(summary),
            "wall_s": result.wall_s,
            "conditions": dict(report.conditions),
            "tallies": [asdict(tally) for tally in result.tallies],
        }

    def _built(self) -> FewShotNetwork:
        if self._network is None:
            self._network = self._contender.build()
        return self._network


def _listing(defect_class: DefectClass) -> str:
    """Digest of which images a class has, and which of them show the same view."""
    images = [(image.id, image.group) for image in (*defect_class.pairs, *defect_class.normals)]
    return hashlib.sha256(json.dumps(images).encode()).hexdigest()
