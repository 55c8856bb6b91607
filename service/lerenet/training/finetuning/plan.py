"""What decides a fine-tuning beyond the settings of its loop, and the defaults of those."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lerenet.datasets.labels import LABEL_RULES, LabelRule
from lerenet.errors import ConfigurationError

FINE_TUNING: dict[str, Any] = {
    "steps": 300,
    "n_episodes": 4,
    "learning_rate": 2e-4,
    "warmup": 0.1,
    "ema_decay": 0.98,
    "validate_every": 100,
    "checkpoint_every": 100,
    "validation_episodes": 16,
    "validation_images": 4,
}
"""Fields of `TrainingConfig` where fine-tuning differs: some ten minutes to an hour on a CPU."""


@dataclass(frozen=True, slots=True)
class FineTuningPlan:
    """What to learn from.

    Attributes:
        data: Folder of [pack/]class/{images,masks,normal}.
        synthetic_share: Share of the episodes of a batch that are synthetic plates, 0 to below 1.
        label_rule: What makes a label of a grey mask.
    """

    data: str
    synthetic_share: float = 0.5
    label_rule: LabelRule = "gt127"

    def __post_init__(self) -> None:
        if not 0 <= self.synthetic_share < 1:
            raise ConfigurationError(f"the synthetic share is {self.synthetic_share}; give 0 to below 1")
        if self.label_rule not in LABEL_RULES:
            raise ConfigurationError(f"the label rule is one of {', '.join(LABEL_RULES)}, not {self.label_rule!r}")
