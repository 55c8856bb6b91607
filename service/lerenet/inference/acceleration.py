"""Ways to run the network faster than operation by operation, in inference mode; elsewhere it runs as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import torch

from lerenet.inference.recordings import CudaRecorder, Recordings
from lerenet.network import Features, SupportEncoding, foreground_logit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from lerenet.inference.protocol import FewShotNetwork
    from lerenet.inference.recordings import Record, Size, Tensors

Acceleration = Literal["auto", "none", "cuda_graphs", "compile"]

MAX_RECORDED_PIXELS = 1 << 21
"""Of a batch at the working scale: with more, the device is busy for longer than its launches take."""

_IMAGES, _MAP, _CLASS, _INDEX, _LOGITS = "images", "map_", "class_", "index", "logits"


class Calls(Protocol):
    """The two calls of a network that segmenting an image takes."""

    def features(self, images: Tensor) -> Features:
        """Features of images (B, 3, H, W) float32 in [0, 1]."""

    def logits(self, features: Features, encodings: Sequence[SupportEncoding], index: Tensor | None) -> Tensor:
        """Foreground logits (P, H, W) float32 of P encodings of one signature.

        Args:
            features: Of B images.
            encodings: Of P classes.
            index: (P,) int64, the image of each; None when pair p is image p.
        """

    def forget(self) -> None:
        """Lets go of device memory that is only held for speed."""


def settled_acceleration(how: Acceleration, device: torch.device) -> Literal["none", "cuda_graphs", "compile"]:
    """What `auto` means on a device: `cuda_graphs` on CUDA and `none` elsewhere."""
    if how != "auto":
        return how
    return "cuda_graphs" if device.type == "cuda" else "none"


def accelerated(network: FewShotNetwork, how: Literal["none", "cuda_graphs", "compile"]) -> Calls:
    """The network's calls, or what does the same faster.

    Args:
        network: In eval mode.
        how: `cuda_graphs` needs a CUDA device; `compile` needs a C++ compiler, and takes half a minute or more for each
            of the first shapes.
    """
    if how == "cuda_graphs":
        return RecordedCalls(network)
    return PlainCalls(network, torch.compile(network.features) if how == "compile" else network.features)


class PlainCalls:
    """Operation by operation.

    Args:
        network: What is run.
        extract: In inference mode instead of the network's `features`.
    """

    def __init__(self, network: FewShotNetwork, extract: Callable[[Tensor], Features]) -> None:
        self._network = network
        self._extract = extract

    def features(self, images: Tensor) -> Features:
        """See `Calls`."""
        return self._extract(images) if torch.is_inference_mode_enabled() else self._network.features(images)

    def logits(self, features: Features, encodings: Sequence[SupportEncoding], index: Tensor | None) -> Tensor:
        """See `Calls`."""
        return foreground_logit(self._network.segment(features, SupportEncoding.stack(encodings), index).float())

    def forget(self) -> None:
        """Nothing is held."""


class RecordedCalls:
    """By recordings of shapes that keep coming: some hundred launches become one.

    Where a batch asks for the classes of the one before, as the frames of a line do, no prototype is copied.

    Args:
        network: What is run.
        record: Makes recordings.
    """

    def __init__(self, network: FewShotNetwork, record: Record | None = None) -> None:
        record = record or CudaRecorder()
        self._network = network
        self._plain = PlainCalls(network, network.features)
        self._images = Recordings(self._run_images, record)
        self._pairs = Recordings(self._run_pairs, record)

    def features(self, images: Tensor) -> Features:
        """See `Calls`."""
        inputs, size = {_IMAGES: images}, (images.shape[-2], images.shape[-1])
        player = self._images.find(inputs, size) if _is_recorded(len(images), size) else None
        if player is None:
            return self._plain.features(images)
        player.write(inputs)
        return _unnamed(player.play(len(images)), size)

    def logits(self, features: Features, encodings: Sequence[SupportEncoding], index: Tensor | None) -> Tensor:
        """See `Calls`."""
        queries = _named(features) | ({} if index is None else {_INDEX: index})
        player = None
        if _is_recorded(len(encodings), features.size):
            alike = _classes([encodings[0]] * len(encodings))  # of the same shapes, and without a copy
            player = self._pairs.find(queries | alike, features.size)
        if player is None:
            return self._plain.logits(features, encodings, index)
        player.write(queries)
        player.write_of(encodings, lambda: _classes(encodings))
        return player.play(len(encodings))[_LOGITS]

    def forget(self) -> None:
        """See `Calls`."""
        self._images.forget()
        self._pairs.forget()

    def _run_images(self, inputs: Tensors, size: Size) -> Tensors:
        return _named(self._network.features(inputs[_IMAGES]))

    def _run_pairs(self, inputs: Tensors, size: Size) -> Tensors:
        classes = {name.removeprefix(_CLASS): each for name, each in inputs.items() if name.startswith(_CLASS)}
        queries = {name: each for name, each in inputs.items() if not name.startswith((_CLASS, _INDEX))}
        logits = self._network.segment(_unnamed(queries, size), SupportEncoding(classes), inputs.get(_INDEX))
        return {_LOGITS: foreground_logit(logits.float())}


def _is_recorded(n_rows: int, size: Size) -> bool:
    """Whether a batch gains from one launch instead of many."""
    return torch.is_inference_mode_enabled() and n_rows * size[0] * size[1] <= MAX_RECORDED_PIXELS


def _named(features: Features) -> dict[str, Tensor]:
    return {f"{_MAP}{level}": each for level, each in enumerate(features.maps)} | dict(features.shared)


def _unnamed(tensors: Tensors, size: Size) -> Features:
    maps = tuple(each for name, each in tensors.items() if name.startswith(_MAP))
    return Features(maps, size, {name: each for name, each in tensors.items() if not name.startswith(_MAP)})


def _classes(encodings: Sequence[SupportEncoding]) -> dict[str, Tensor]:
    return {f"{_CLASS}{name}": each for name, each in SupportEncoding.stack(encodings).tensors.items()}
