"""What goes with fine-tuned weights: an entry for a manifest, and a card that says how they came about."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lerenet.network.weights import WeightsEntry, weights_digest

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.network.config import NetworkConfig
    from lerenet.training.config import TrainingConfig
    from lerenet.training.finetuning.held_out import FolderJudgement
    from lerenet.training.finetuning.plan import FineTuningPlan
    from lerenet.training.finetuning.split import FolderSplit

MANIFEST_FILE, CARD_FILE = "manifest.toml", "model-card.md"


@dataclass(frozen=True, eq=False)
class Story:
    """How fine-tuned weights came about.

    Attributes:
        plan: What they learnt from.
        config: Of the loop.
        split: Of the folder.
        before: The initial weights on the held-out part.
        after: The best weights on it.
        init: Name and digest of the initial weights.
        steps: Steps done.
        hours: Wall time of training.
        hardware: What it ran on.
        code: Version of the code.
    """

    plan: FineTuningPlan
    config: TrainingConfig
    split: FolderSplit
    before: FolderJudgement
    after: FolderJudgement
    init: tuple[str, str]
    steps: int
    hours: float
    hardware: str
    code: str

    @property
    def is_better(self) -> bool:
        """Whether the weights may take the place of the initial ones: better on the folder, and on balance."""
        return self.after.iou_real > self.before.iou_real and self.after.iou > self.before.iou


def write_manifest(path: Path, weights: Path, network: NetworkConfig, story: Story) -> None:
    """Writes a manifest with one entry, as `network.weights.read_manifest` reads it."""
    n_images = sum(len(found.pairs) for found in story.split.learnt)
    entry = WeightsEntry(
        file=weights.name,
        sha256=weights_digest(weights),
        bytes=weights.stat().st_size,
        preset=network.preset,
        input="as the weights it was fine-tuned from",
        made=f"{story.init[0]} fine-tuned for {story.steps} steps on {n_images} marked images of "
        f"{len(story.split.learnt)} classes; see {CARD_FILE}",
    )
    # A JSON scalar is a TOML scalar of the same type.
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in asdict(entry).items()]
    path.write_text("[[weights]]\n" + "".join(lines), encoding="utf-8")


def write_card(path: Path, weights: Path | None, story: Story) -> None:
    """Writes the card; without weights it says why there are none."""
    path.write_text("\n\n".join(_sections(weights, story)) + "\n", encoding="utf-8")


def _sections(weights: Path | None, story: Story) -> list[str]:
    plan, config = story.plan, story.config
    real = config.n_episodes - n_synthetic(config, plan)
    verdict = (
        f"`{weights.name}`, sha256 `{weights_digest(weights)}`. Serve them with `LERENET_WEIGHTS={weights}`; "
        f"`lerenet weights compare` shows first what would change."
        if weights is not None
        else "**No weights were written**: the held-out part did not improve, so the initial weights stay."
    )
    return [
        "# Fine-tuned LERENet weights",
        verdict,
        "## Data",
        f"Folder `{plan.data}`, label rule {plan.label_rule}. Whole groups of images (one view each) are on one side; "
        "a tenth of them is held out, and nothing is learnt from it.",
        _table(("class", "learnt", "held out", "groups", "defect-free learnt", "held out"), _counts(story.split)),
        "## Protocol",
        f"Started from `{story.init[0]}` (sha256 `{story.init[1]}`). {story.steps} steps of {config.n_episodes} "
        f"episodes: {real} of real crops, {n_synthetic(config, plan)} of synthetic plates; {config.n_images} images of "
        f"{config.size_px} px in an episode, all of different groups; peak learning rate {config.learning_rate:g}, "
        f"averaged weights, seed {config.seed}. The checkpoint with the best mean of held-out images and held-out "
        "plates was taken. Held-out images are segmented whole, at threshold 0.5, supported by images that are learnt "
        "from: the numbers are of these classes, and say nothing about new ones.",
        "## Before and after, on the held-out part",
        _table(("", "before", "after"), _figures(story.before, story.after)),
        f"{story.after.n_queries} marked and {story.after.n_normals} defect-free images were asked.",
        "## Made",
        f"{story.hours:.2f} hours on {story.hardware}; lerenet {story.code}.",
    ]


def n_synthetic(config: TrainingConfig, plan: FineTuningPlan) -> int:
    """Episodes of a batch that are synthetic; at least one is real."""
    return min(round(plan.synthetic_share * config.n_episodes), config.n_episodes - 1)


def _counts(split: FolderSplit) -> list[tuple[str, ...]]:
    return [
        (
            learnt.name,
            str(len(learnt.pairs)),
            str(len(held.pairs)),
            f"{learnt.n_groups} + {held.n_groups}",
            str(len(learnt.normals)),
            str(len(held.normals)),
        )
        for learnt, held in zip(split.learnt, split.held_out, strict=True)
    ]


def _figures(before: FolderJudgement, after: FolderJudgement) -> list[tuple[str, ...]]:
    rows = [
        ("IoU, 1 shot", before.iou_one_shot, after.iou_one_shot),
        ("IoU, several shots", before.iou_several_shots, after.iou_several_shots),
        *((f"IoU, {name}", iou, after.class_iou[name]) for name, iou in before.class_iou.items()),
        ("IoU, synthetic plates", before.iou_synthetic, after.iou_synthetic),
        ("false alarms on defect-free images", before.false_alarm_rate, after.false_alarm_rate),
    ]
    return [(name, *("—" if value is None else f"{value:.3f}" for value in values)) for name, *values in rows]


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
