"""Ways to run the query's shared part faster than operation by operation. All are off unless the settings ask."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import torch
from torch.nn import functional

from lerenet.network import Features

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Acceleration = Literal["none", "cuda_graphs", "compile"]

BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Sizes of batches that graphs are recorded for; a batch in between is filled up, by a half at most."""

SEEN_BEFORE = 3
"""A graph is recorded when its shape has come so often: recording costs as much as some batches."""

MAX_SEEN = 1_000
"""Shapes that are counted; whoever sends frames chooses their sizes."""

MAX_GRAPHS = 16
"""Graphs that are kept; each holds the memory of its inputs and outputs."""


class Graph(Protocol):
    """A recorded run: what it wrote and reads stays in one place."""

    @property
    def images(self) -> Tensor:
        """Where it reads its images from."""

    @property
    def features(self) -> Features:
        """Where it writes."""

    def replay(self) -> None:
        """Runs again."""


class CudaGraph(NamedTuple):
    """A graph on a CUDA device."""

    images: Tensor
    features: Features
    graph: torch.cuda.CUDAGraph

    def replay(self) -> None:
        """Runs again, with a single launch."""
        self.graph.replay()

    @classmethod
    def recorded(cls, extract: Callable[[Tensor], Features], images: Tensor) -> CudaGraph:
        """Records `extract` on images of this shape; it has run on the device before."""
        images = images.clone(memory_format=torch.preserve_format)
        graph = torch.cuda.CUDAGraph()
        # cached casts of weights would be freed when recording ends, and the graph would read them for ever
        autocast = torch.autocast(
            "cuda", torch.bfloat16, enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False
        )
        with autocast, torch.cuda.graph(graph):
            features = extract(images)
        return cls(images, features, graph)


class GraphedFeatures:
    """Features by replaying graphs, one for each shape that comes again and again; other shapes run as they are.

    What comes back are copies: a replay overwrites what the one before wrote.

    Args:
        extract: Images (B, 3, H, W) to features; treats each image by itself.
        record: Makes a graph of it for images of one shape.
    """

    def __init__(
        self,
        extract: Callable[[Tensor], Features],
        record: Callable[[Callable[[Tensor], Features], Tensor], Graph] = CudaGraph.recorded,
    ) -> None:
        self._extract = extract
        self._record = record
        self._seen: Counter[torch.Size] = Counter()
        self._graphs: OrderedDict[torch.Size, Graph] = OrderedDict()

    def __call__(self, images: Tensor) -> Features:
        """Features of images (B, 3, H, W)."""
        n_images = len(images)
        if n_images > BUCKETS[-1]:
            return self._extract(images)
        filled = _filled(images)
        graph = self._graph(filled)
        if graph is None:
            return self._extract(images)
        graph.images.copy_(filled)
        graph.replay()
        return _copied(graph.features, n_images)

    def _graph(self, images: Tensor) -> Graph | None:
        shape = images.shape
        if shape not in self._graphs:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen[shape] += 1
            if self._seen[shape] <= SEEN_BEFORE:
                return None
            self._graphs[shape] = self._record(self._extract, images)
            if len(self._graphs) > MAX_GRAPHS:
                forgotten, _ = self._graphs.popitem(last=False)
                self._seen.pop(forgotten, None)
        self._graphs.move_to_end(shape)
        return self._graphs[shape]


def accelerated(extract: Callable[[Tensor], Features], how: Acceleration) -> Callable[[Tensor], Features]:
    """`extract`, or what does the same faster in inference mode; where gradients may be wanted it runs as it is.

    Args:
        extract: Images (B, 3, H, W) to features.
        how: `cuda_graphs` needs a CUDA device; `compile` needs a C++ compiler, and takes half a minute or more for each
            of the first shapes.
    """
    if how == "none":
        return extract
    faster = GraphedFeatures(extract) if how == "cuda_graphs" else torch.compile(extract)

    def chosen(images: Tensor) -> Features:
        return faster(images) if torch.is_inference_mode_enabled() else extract(images)

    return chosen


def _filled(images: Tensor) -> Tensor:
    bucket = next(size for size in BUCKETS if size >= len(images))
    missing = bucket - len(images)
    if not missing:
        return images
    return functional.pad(images, (0, 0, 0, 0, 0, 0, 0, missing)).contiguous(memory_format=torch.channels_last)


def _copied(features: Features, n_images: int) -> Features:
    maps = tuple(level[:n_images].clone(memory_format=torch.preserve_format) for level in features.maps)
    shared = {
        name: term[:n_images].clone(memory_format=torch.preserve_format) for name, term in features.shared.items()
    }
    return Features(maps, features.size, shared)
