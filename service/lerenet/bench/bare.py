"""The network by itself, on tensors that are ready: what no service around it can beat.

It has all that the service has: folded batch norms, the same layout and threads, recorded graphs, memory that is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from lerenet.inference.acceleration import accelerated, settled_acceleration
from lerenet.inference.precision import Precision, numerics, settled_precision
from lerenet.inference.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from lerenet.imaging import Image, Shot
    from lerenet.inference.acceleration import Calls
    from lerenet.network import LERENet, SupportEncoding


class Spent(NamedTuple):
    """Seconds that one frame took: of the clock, and of all CPU threads together."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, eq=False)
class BareNetwork:
    """A network with the encodings of some classes.

    Attributes:
        network: On the device, in eval mode.
        encodings: Of the classes, each for itself.
        device: Where it is.
        precision: See `settled_precision`.
        layout: Of weights and images.
    """

    network: LERENet
    encodings: tuple[SupportEncoding, ...]
    device: torch.device
    precision: Precision = "auto"
    layout: torch.memory_format = torch.channels_last

    @classmethod
    def prepared(cls, network: LERENet, classes: Sequence[Sequence[Shot]], device: torch.device) -> BareNetwork:
        """With the encodings that the service would make of these shots."""
        segmenter = Segmenter(network, device)
        encodings = tuple(segmenter.encode(shots).encoding for shots in classes)
        return cls(network, encodings, device).laid_out(torch.channels_last)

    def laid_out(self, layout: torch.memory_format) -> BareNetwork:
        """The same with weights and images in another layout; those of the network itself change."""
        self.network.to(memory_format=layout)  # type: ignore[call-overload]
        return replace(self, layout=layout)

    def tensor(self, frames: Sequence[Image]) -> Tensor:
        """Grey frames of one size as the network wants them: (B, 3, H, W) in 0 to 1, sides padded to its multiple."""
        pixels = torch.from_numpy(np.stack(frames)).to(self.device)[:, None].float().div(255).expand(-1, 3, -1, -1)
        multiple = self.network.stride_multiple
        padding = (0, -pixels.shape[3] % multiple, 0, -pixels.shape[2] % multiple)
        return functional.pad(pixels, padding, mode="replicate").contiguous(memory_format=self.layout)

    @cached_property
    def _calls(self) -> Calls:
        return accelerated(self.network, settled_acceleration("auto", self.device))

    @torch.inference_mode()
    def spend(self, images: Tensor, n_rounds: int) -> list[Spent]:
        """Runs a batch some times with every class on every image, and says what a frame took in each."""
        n_images, n_classes = len(images), len(self.encodings)
        encodings = [each for each in self.encodings for _ in range(n_images)]
        index = torch.arange(n_images, device=self.device).repeat(n_classes) if n_classes > 1 else None
        precision = settled_precision(self.precision, self.device)
        spent = []
        for _ in range(n_rounds):
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            with numerics(precision, self.device):
                logits = self._calls.logits(self._calls.features(images), encodings, index)
            logits.amax().item()  # waits for the device
            spent.append(Spent((time.perf_counter() - wall_s) / n_images, (time.process_time() - cpu_s) / n_images))
        return spent


def for_a_while(work: Callable[[], list[Spent]], seconds: float) -> list[Spent]:
    """Results of repeated work; the first, in which memory is first touched, is left out."""
    work()
    found, until = work(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        found += work()
    return found
