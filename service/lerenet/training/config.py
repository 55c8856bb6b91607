"""The settings of a training run. A small TOML lists what differs from the defaults; the run folder keeps all."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args, get_type_hints

from lerenet.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

NetworkName = Literal["metal", "paper-resnet50", "paper-vgg16", "tiny"]
Precision = Literal["auto", "bf16", "float32"]

_MAY_CHANGE_ON_RESUME = frozenset(
    {
        "steps",
        "max_hours",
        "num_workers",
        "threads",
        "log_every",
        "validate_every",
        "checkpoint_every",
        "report_every_s",
    }
)


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Everything that decides a run, except the code and the device.

    Attributes:
        network: Which network is built.
        init_weights: Path of a weights file to start from; empty starts from random weights of `seed`.
        seed: Decides initial weights, plates and support draws.
        size_px: Side of the square plates, a multiple of 8.
        n_episodes: Episodes in a batch.
        n_images: Images in an episode; each is the query once.
        max_shots: The number of shots of a step is drawn from 1 to this.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: Of AdamW; norms and biases have none.
        warmup: Share of the run in which the learning rate rises, 0 to 1.
        clip_norm: Gradients are scaled down to this norm.
        ema_decay: Of the averaged weights, which are validated and exported.
        dice_smoothing: Added to both sides of the Dice ratio, as a share of the image's area.
        steps: Length of the run; 0 leaves the end to `max_hours`.
        max_hours: Time budget of all resumptions, in hours; 0 leaves the end to `steps`. The first of both ends it.
        precision: Of the network in training and validation; the loss is float32. `auto` is bf16 where the device
            computes in it.
        device: `auto` takes CUDA where there is one.
        threads: Of the training process on the CPU; 0 keeps torch's choice.
        num_workers: Processes that make plates; 0 makes them in the training process, on its device.
        log_every: Steps between rows of the history.
        validate_every: Steps between validations.
        checkpoint_every: Steps between checkpoints.
        report_every_s: Seconds between progress lines where there is no terminal.
        validation_seed: Of the held-out plates; never the training seed.
        validation_episodes: Held-out episodes, each one class.
        validation_images: Images in a held-out episode; all but the query can be shots.
    """

    network: NetworkName = "metal"
    init_weights: str = ""
    seed: int = 1
    size_px: int = 200
    n_episodes: int = 8
    n_images: int = 4
    max_shots: int = 3
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    dice_smoothing: float = 4e-4
    steps: int = 4000
    max_hours: float = 0.0
    precision: Precision = "auto"
    device: Literal["auto", "cuda", "cpu"] = "auto"
    threads: int = 0
    num_workers: int = 1
    log_every: int = 20
    validate_every: int = 250
    checkpoint_every: int = 250
    report_every_s: float = 30.0
    validation_seed: int = 900_001
    validation_episodes: int = 48
    validation_images: int = 6

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name, value in asdict(self).items():
            _check_value(name, value, hints[name])
        _check_whole(self)

    @classmethod
    def from_toml(cls, path: Path, **overrides: Any) -> TrainingConfig:
        """Reads the differences from the defaults.

        Args:
            path: Flat TOML; its keys are the fields of this class.
            **overrides: Fields that win over the file.

        Raises:
            ConfigurationError: The file is missing or broken, names an unknown field or holds an impossible value.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as err:
            raise ConfigurationError(f"the training configuration {path} cannot be read: {err}") from err
        known = {field.name for field in fields(cls)}
        unknown = sorted((values | overrides).keys() - known)
        if unknown:
            raise ConfigurationError(f"{path} sets {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**(values | overrides))

    def to_toml(self) -> str:
        """All fields as TOML that `from_toml` reads back to an equal configuration."""
        # A JSON scalar is a TOML scalar of the same type.
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in asdict(self).items())

    def check_resumes(self, earlier: TrainingConfig) -> None:
        """Refuses to go on with a run that was started otherwise.

        Raises:
            ConfigurationError: A field that decides the weights has changed.
        """
        now, before = asdict(self), asdict(earlier)
        changed = [name for name in now if now[name] != before[name] and name not in _MAY_CHANGE_ON_RESUME]
        if changed:
            listed = ", ".join(f"{name} {before[name]!r} -> {now[name]!r}" for name in changed)
            raise ConfigurationError(f"the run was started with other settings ({listed}); name a new run folder")


def _check_value(name: str, value: Any, hint: Any) -> None:
    choices = get_args(hint)
    if choices and value not in choices:
        raise ConfigurationError(f"{name} is {value!r}; possible are {', '.join(map(repr, choices))}")
    accepted: dict[Any, type | tuple[type, ...]] = {int: int, float: (int, float), str: str}
    if isinstance(value, bool) or not isinstance(value, accepted.get(hint, object)):
        raise ConfigurationError(f"{name} is {value!r}; it must be of type {hint.__name__}")
    if isinstance(value, (int, float)) and not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name} is {value}; it must be finite and at least 0")


def _check_whole(config: TrainingConfig) -> None:
    at_least_one = (
        "size_px",
        "n_episodes",
        "max_shots",
        "log_every",
        "validate_every",
        "checkpoint_every",
        "validation_episodes",
    )
    for name in at_least_one:
        if getattr(config, name) < 1:
            raise ConfigurationError(f"{name} is {getattr(config, name)}; it must be at least 1")
    if config.size_px % 8:
        raise ConfigurationError(f"size_px is {config.size_px}; plates need a multiple of 8")
    if min(config.n_images, config.validation_images) < 2:
        raise ConfigurationError("an episode needs at least 2 images: a query and a shot (n_images, validation_images)")
    if not config.steps and not config.max_hours:
        raise ConfigurationError("steps and max_hours are both 0, so the run would never end; set one")
    if config.seed == config.validation_seed:
        raise ConfigurationError(f"seed and validation_seed are both {config.seed}; held-out plates need their own")
    if max(config.warmup, config.ema_decay) >= 1:
        raise ConfigurationError("warmup and ema_decay must be below 1")
