"""The authors' protocol as a report: one pass over the test list, one draw for each query."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lerenet.evaluation.report import REPORT_FILE
from lerenet.training.benchmark.one_pass import FoldReport, OnePass
from lerenet.training.benchmark.plan import SELECTION_SEEDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch

    from lerenet.datasets.benchmarks import BenchmarkFold
    from lerenet.network.lerenet import LERENet
    from lerenet.training.benchmark.episodes import EpisodeForm

PROTOCOL = (
    "the authors' (LERENet): one pass over the test list, one fixed random support draw for each query from the same "
    "list, longest side fitted to the square with zero padding, masks by arg-max on the original canvas, IoU pooled "
    "over the queries of a class"
)


@dataclass(frozen=True, eq=False)
class BenchmarkReport:
    """Numbers on one fold, with what made them.

    Attributes:
        title: The benchmark's.
        fold: Which fold.
        form: Shots, square and label rule.
        figures: The numbers.
        conditions: Weights, how their checkpoint was chosen, lists, device.
    """

    title: str
    fold: int
    form: EpisodeForm
    figures: FoldReport
    conditions: Mapping[str, str]

    @property
    def document(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "benchmark": self.title,
            "fold": self.fold,
            "shots": self.form.n_shots,
            "protocol": PROTOCOL,
            "label_rule": self.form.rule,
            "size_px": self.form.size_px,
            "figures": asdict(self.figures),
            "conditions": dict(self.conditions),
        }

    def as_table(self) -> Group:
        """What `rich` prints, in percent."""
        figures = self.figures
        table = Table(
            title=f"{self.title}, fold {self.fold}, {self.form.n_shots}-shot", title_justify="left", min_width=48
        )
        table.add_column("class IoU, %")
        table.add_column("LERENet", justify="right")
        for name, iou in figures.class_iou.items():
            table.add_row(name, f"{100 * iou:.1f}")
        table.add_section()
        table.add_row("mIoU", f"{100 * figures.miou:.1f}")
        table.add_row("FB-IoU", f"{100 * figures.fb_iou:.1f}")
        lines = [
            f"protocol: {PROTOCOL}",
            f"label rule {self.form.rule}: {figures.n_unmarked} of {figures.n_queries} queries mark nothing under it",
            *(f"{name}: {value}" for name, value in self.conditions.items()),
        ]
        return Group(table, Text("\n".join(lines), style="dim"))


def measure_as_authors(
    network: LERENet,
    fold: BenchmarkFold,
    form: EpisodeForm,
    device: torch.device,
    conditions: Mapping[str, str],
    on_queries: Callable[[int], None] = lambda n: None,
) -> BenchmarkReport:
    """Measures a network on the test list of a fold.

    Args:
        network: Either preset, on `device`, in eval mode; it runs in float32.
        fold: What is measured.
        form: Shots, square and label rule.
        device: Where the network is.
        conditions: What else made the numbers.
        on_queries: Told of each batch how many queries it held.
    """
    figures = OnePass(fold.novel, form, SELECTION_SEEDS["paper"]).validate(network, device, on_queries)
    return BenchmarkReport(fold.benchmark.title, fold.fold, form, figures, conditions)


def write_benchmark_report(report: BenchmarkReport, folder: Path) -> None:
    """Writes `report.json` into a folder, which is made when it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_text(json.dumps(report.document, indent=2) + "\n", encoding="utf-8")
