"""Fine-tuning on a folder of one's own marked images, mixed with synthetic plates so that nothing is forgotten."""

from lerenet.training.finetuning.plan import FINE_TUNING, FineTuningPlan
from lerenet.training.finetuning.run import FineTuned, fine_tune

__all__ = ["FINE_TUNING", "FineTuned", "FineTuningPlan", "fine_tune"]
