"""How far a run is, and the learning rate that belongs there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lerenet.training.config import TrainingConfig

_FIRST_FACTOR = 0.04
_SECONDS_PER_HOUR = 3600


def run_progress(config: TrainingConfig, step: int, elapsed_s: float) -> float:
    """Share of the run that is done, 0 to 1: by steps or by time, whichever is further.

    Args:
        config: Gives `steps` and `max_hours`, of which 0 means no limit.
        step: Steps done.
        elapsed_s: Seconds spent, all resumptions together.
    """
    by_steps = step / config.steps if config.steps else 0.0
    by_time = elapsed_s / (config.max_hours * _SECONDS_PER_HOUR) if config.max_hours else 0.0
    return min(1.0, max(by_steps, by_time))


def learning_rate_factor(progress: float, warmup: float) -> float:
    """One cycle: a linear rise over the warm-up, then half a cosine down to 0.

    Args:
        progress: 0 to 1.
        warmup: Share of the run that is warm-up, below 1.

    Returns:
        Factor of the peak learning rate, 0 to 1.
    """
    if progress < warmup:
        return _FIRST_FACTOR + (1 - _FIRST_FACTOR) * progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
