"""What commands that measure have in common: the weights they run, on which device, and their progress."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, cast, get_args

from lerenet.cli.display import progress_bar
from lerenet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import torch

    from lerenet.evaluation.evaluate import Step
    from lerenet.inference.precision import Precision
    from lerenet.network import LERENet


class ChosenWeights:
    """A weights file as it was asked for; loaded when it is needed.

    Args:
        path: The file; None for the shipped one.
        device: As in the options.
        precision: As in the options.

    Raises:
        ConfigurationError: No such precision.
    """

    def __init__(self, path: Path | None, device: str, precision: str = "auto") -> None:
        from lerenet.inference.precision import Precision
        from lerenet.network.weights import shipped_weights

        if precision not in get_args(Precision):
            raise ConfigurationError(f"precision={precision}: use {', '.join(get_args(Precision))}")
        self.path = path or shipped_weights()
        self.precision = cast("Precision", precision)
        self._device_name = device

    @cached_property
    def device(self) -> torch.device:
        """Where the network is."""
        from lerenet.inference.device import choose_device

        return choose_device(self._device_name)

    @cached_property
    def network(self) -> LERENet:
        """In eval mode."""
        from lerenet.network.weights import load_weights

        return load_weights(self.path, self.device)

    @property
    def conditions(self) -> dict[str, str]:
        """For the report."""
        from lerenet.inference.precision import settled_precision
        from lerenet.network.weights import weights_digest

        return {
            "weights": self.path.name,
            "weights_digest": weights_digest(self.path),
            "device": str(self.device),
            "precision": settled_precision(self.precision, self.device),
        }


@contextmanager
def steps_shown() -> Iterator[Callable[[Step], None]]:
    """A progress bar, and what moves it."""
    with progress_bar() as bar:
        task = bar.add_task("reading", total=None)

        def show(step: Step) -> None:
            words = f"{step.method}, {step.class_name}"
            bar.update(task, completed=step.n_done, total=step.n_total, description=words)

        yield show
