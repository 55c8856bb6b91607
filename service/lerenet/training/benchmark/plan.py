"""What decides a training run on a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from lerenet.datasets.benchmarks import find_benchmark
from lerenet.datasets.labels import LABEL_RULES, LabelRule
from lerenet.errors import ConfigurationError
from lerenet.training.benchmark.learner import BASE_RATE, WEIGHT_DECAY
from lerenet.training.config import TrainingConfig

if TYPE_CHECKING:
    from lerenet.training.config import NetworkName

Protocol = Literal["paper", "clean"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
PLAN_FILE = "benchmark.json"
MAY_CHANGE_ON_RESUME = frozenset({"threads", "num_workers", "max_hours"})
SELECTION_SEEDS = {"paper": (1334,), "clean": (1334, 1258, 1355)}
"""Seeds of the passes by which a checkpoint is chosen; the authors' own."""

N_HELD_OUT_CLASSES = 2
_EPOCHS_BETWEEN_VALIDATIONS = 2


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """A run on one fold.

    Attributes:
        benchmark: Name of the benchmark.
        fold: The fold whose base classes are trained on.
        shots: Shots of an episode, in training and in validation.
        protocol: How the checkpoint is chosen. `paper`: on the fold's own test list every 2nd epoch, as the authors do.
            `clean`: on two base classes that nothing is learnt from; the test list is not opened.
        label_rule: What makes a label of a grey mask.
        network: Which network is built.
        init_weights: Weights of the same network to start from; empty starts from random ones.
        backbone: Local ImageNet file for the backbone of the `paper` networks; empty for none.
        epochs: Passes over the training list.
        batch: Episodes in a batch.
        size_px: Side of the crops and of the square that validation fits to.
        learning_rate: Base rate, see `learner`.
        seed: Decides initial weights, order, shots and augmentation.
        device: As in `TrainingConfig`.
        threads: As in `TrainingConfig`.
        num_workers: Processes that read and augment.
        max_hours: Time budget; 0 for none.
    """

    benchmark: str
    fold: int
    shots: int = 1
    protocol: Protocol = "paper"
    label_rule: LabelRule = "eq255"
    network: NetworkName = "paper-resnet50"
    init_weights: str = ""
    backbone: str = ""
    epochs: int = 200
    batch: int = 2
    size_px: int = 200
    learning_rate: float = BASE_RATE
    seed: int = 1334
    device: Literal["auto", "cuda", "cpu"] = "auto"
    threads: int = 0
    num_workers: int = 1
    max_hours: float = 0.0

    def __post_init__(self) -> None:
        find_benchmark(self.benchmark)
        if self.protocol not in PROTOCOLS:
            raise ConfigurationError(f"the protocol is one of {', '.join(PROTOCOLS)}, not {self.protocol!r}")
        if self.label_rule not in LABEL_RULES:
            raise ConfigurationError(f"the label rule is one of {', '.join(LABEL_RULES)}, not {self.label_rule!r}")
        if min(self.shots, self.epochs, self.batch) < 1:
            raise ConfigurationError("shots, epochs and batch are at least 1")
        if self.backbone and not self.network.startswith("paper"):
            raise ConfigurationError(
                f"an ImageNet backbone fits paper-resnet50 and paper-vgg16, not {self.network}; leave it out"
            )

    @property
    def is_pretrained(self) -> bool:
        """Whether the backbone knows something before the first step."""
        return bool(self.backbone or self.init_weights)

    def training_config(self, batches_per_epoch: int) -> TrainingConfig:
        """The loop's settings for so many batches in an epoch."""
        validate_every = _EPOCHS_BETWEEN_VALIDATIONS * batches_per_epoch
        return TrainingConfig(
            network=self.network,
            init_weights=self.init_weights,
            seed=self.seed,
            size_px=self.size_px,
            n_episodes=self.batch,
            n_images=1 + self.shots,
            max_shots=self.shots,
            learning_rate=self.learning_rate,
            weight_decay=WEIGHT_DECAY,
            warmup=0.0,
            ema_decay=0.0,
            steps=self.epochs * batches_per_epoch,
            max_hours=self.max_hours,
            precision="float32",
            device=self.device,
            threads=self.threads,
            num_workers=self.num_workers,
            validate_every=validate_every,
            checkpoint_every=validate_every,
        )
