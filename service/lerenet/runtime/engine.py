"""From weights on disk to a segmenter on its device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from lerenet.errors import ConfigurationError
from lerenet.inference.device import choose_device
from lerenet.inference.precision import settled_precision
from lerenet.inference.runner import MAX_BATCH_PIXELS
from lerenet.inference.segmenter import Segmenter
from lerenet.network.folding import fold
from lerenet.network.weights import load_weights, shipped_weights, verified_digest
from lerenet.runtime.cpus import available_cpus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lerenet.imaging import Image, Shot
    from lerenet.inference.assessment import Assessment
    from lerenet.inference.encodings import ClassEncoding
    from lerenet.inference.segmenter import SegmentationJob
    from lerenet.settings import Settings

BATCH_PIXELS = {"cpu": MAX_BATCH_PIXELS, "cuda": 4 * MAX_BATCH_PIXELS}
"""Pixels in one batch by type of device, where the settings say nothing."""


class RunsTheNetwork(Protocol):
    """What the runtime asks of a segmenter; all but `weigh`, `dump` and `load` belong to the device thread."""

    def encode_in_steps(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> Iterator[ClassEncoding | None]:
        """A support set as prototypes, in short pieces of work: None after each, and the prototypes at the end."""

    def encode_unfitted(self, shots: Sequence[Shot]) -> ClassEncoding:
        """Prototypes that are quickly made, to try the device with."""

    def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: ClassEncoding) -> Assessment:
        """The suggested threshold of a support set."""

    def prepare(self, jobs: Sequence[SegmentationJob]) -> Any:
        """The host's part of segmenting jobs; on any thread."""

    def run(self, prepared: Any) -> list[list[NDArray[np.uint8]]]:
        """The device's part: probability maps of the jobs, per class."""

    def weigh(self, job: SegmentationJob) -> int:
        """Cost of a job in pixels."""

    def dump(self, encoding: ClassEncoding) -> bytes:
        """Prototypes as bytes."""

    def load(self, data: bytes) -> ClassEncoding:
        """Back from `dump`."""

    def free_memory(self) -> None:
        """Gives the device back what is only held for speed, after its memory ran out."""


class Heartbeat:
    """Carries signs of life out of a long run on the device to whoever listens, once somebody does."""

    def __init__(self) -> None:
        self.listener: Callable[[], None] = lambda: None

    def __call__(self) -> None:
        """One sign of life; on the device thread."""
        self.listener()


@dataclass(frozen=True)
class Engine:
    """A segmenter, and what to say about it.

    Attributes:
        segmenter: Ready to run on its device.
        weights_digest: Sha256 of the weights file, in hex.
        device: Name of the device.
        precision: `float32`, `tf32` or `bf16`.
        max_batch_pixels: Pixels in one batch, at the working scale.
        facts: Further words for `/version`.
        heartbeat: Called by the segmenter many times in a long run.
    """

    segmenter: RunsTheNetwork
    weights_digest: str
    device: str = "cpu"
    precision: str = "float32"
    max_batch_pixels: int = BATCH_PIXELS["cpu"]
    facts: dict[str, str] = field(default_factory=dict)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)

    @property
    def encoding_digest(self) -> str:
        """Names what decides an encoding: the weights and the precision they are run with."""
        return f"{self.weights_digest}-{self.precision}"


def build_engine(settings: Settings) -> Engine:
    """Loads the weights onto the device that the settings name. Takes seconds; call it off the event loop.

    Raises:
        WeightsError: The weights are missing, damaged, of another layout, or not those that were expected.
        ConfigurationError: There is no such device.
    """
    torch.set_num_threads(settings.threads or available_cpus())
    device = choose_device(settings.device)
    path = settings.weights or shipped_weights()
    digest = verified_digest(path, settings.weights_sha256)
    network = load_weights(path, device)
    fold(network)
    # the layout that convolutions prefer, and the one the segmenter feeds
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    max_batch_pixels = settings.max_batch_pixels or BATCH_PIXELS.get(device.type, BATCH_PIXELS["cuda"])
    heartbeat = Heartbeat()
    if settings.acceleration == "cuda_graphs" and device.type != "cuda":
        raise ConfigurationError(
            f"acceleration cuda_graphs needs a CUDA device, and this is {device}: use auto, none or compile"
        )
    segmenter = Segmenter(
        network,
        device,
        precision=settings.precision,
        max_batch_pixels=max_batch_pixels,
        on_progress=heartbeat,
        acceleration=settings.acceleration,
    )
    return Engine(
        segmenter,
        digest,
        device=_device_name(device),
        precision=settled_precision(settings.precision, device),
        max_batch_pixels=max_batch_pixels,
        facts={"preset": network.config.preset, "torch": torch.__version__},
        heartbeat=heartbeat,
    )


def device_memory_bytes() -> dict[str, float]:
    """Memory of the CUDA device by kind; empty without one in use."""
    if not torch.cuda.is_initialized():
        return {}
    return {
        "allocated": torch.cuda.memory_allocated(),
        "reserved": torch.cuda.memory_reserved(),
        "free": torch.cuda.mem_get_info()[0],
    }


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
