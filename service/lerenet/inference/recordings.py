"""Functions of tensors that are recorded once per shape, and then run again with a single launch."""

from __future__ import annotations

import weakref
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from torch import Tensor

    Tensors = Mapping[str, Tensor]
    Size = tuple[int, int]
    Function = Callable[[Tensors, Size], Tensors]

BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Lengths of leading axes that are recorded; what is in between is filled up, by a half at most."""

SEEN_BEFORE = 3
"""A recording is made when its shapes have come so often: it costs as much as some runs."""

MAX_SEEN = 1_000
"""Shapes that are counted; whoever sends frames chooses their sizes."""

MAX_KEPT = 16
"""Recordings that are kept; each holds its inputs and outputs, and all share the memory in between."""


class Recording(Protocol):
    """A recorded run: what it reads and what it writes stay in one place."""

    @property
    def inputs(self) -> Tensors:
        """Where it reads."""

    @property
    def outputs(self) -> Tensors:
        """Where it writes."""

    def replay(self) -> None:
        """Runs again."""


class Record(Protocol):
    """Makes recordings."""

    def __call__(self, function: Function, inputs: Tensors, size: Size) -> Recording:
        """Of a function on these inputs, which become the recording's own."""


class CudaRecording(NamedTuple):
    """A graph on a CUDA device."""

    inputs: Tensors
    outputs: Tensors
    graph: torch.cuda.CUDAGraph

    def replay(self) -> None:
        """Runs again, with a single launch."""
        self.graph.replay()


class CudaRecorder:
    """Records graphs that share one pool of memory: only one of them runs at a time, and what they write is copied."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, function: Function, inputs: Tensors, size: Size) -> CudaRecording:
        """Records `function` on these inputs, which become the graph's own; it has run on the device before."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # cached casts of weights would be freed when recording ends, and the graph would read them for ever
        autocast = torch.autocast(
            "cuda", torch.bfloat16, enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False
        )
        # by thread: the staging thread goes on to reserve page-locked memory meanwhile
        with autocast, torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = function(inputs, size)
        return CudaRecording(inputs, outputs, graph)


class Player:
    """Runs one recording on fresh rows. Rows that fill up its bucket stay as some run before left them.

    Args:
        recording: Belongs to this player alone.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._owners: list[weakref.ref[object]] = []

    def write(self, inputs: Tensors) -> None:
        """Copies inputs to where the recording reads."""
        for name, each in inputs.items():
            self._recording.inputs[name][: len(each)].copy_(each)

    def write_of(self, owners: Sequence[object], make: Callable[[], Tensors]) -> None:
        """Copies inputs that are made of their owners, a row of each, unless they are there since the last run."""
        if len(self._owners) >= len(owners) and all(
            held() is own for held, own in zip(self._owners, owners, strict=False)
        ):
            return
        self._owners = [weakref.ref(own) for own in owners]
        self.write(make())

    def play(self, n_rows: int) -> Tensors:
        """Runs, and gives copies of the first rows of what was written: the next run overwrites it."""
        self._recording.replay()
        return {
            name: each[:n_rows].clone(memory_format=torch.preserve_format)
            for name, each in self._recording.outputs.items()
        }


class Recordings:
    """Recordings of one function, by the shapes that go in.

    Args:
        function: Named tensors, and (H, W) of the images that they are about, to named tensors; row by row along their
            leading axes.
        record: Makes a recording of it on inputs of its own.
    """

    def __init__(self, function: Function, record: Record) -> None:
        self._function = function
        self._record = record
        self._seen: Counter[Hashable] = Counter()
        self._kept: OrderedDict[Hashable, Player] = OrderedDict()

    def find(self, inputs: Tensors, size: Size) -> Player | None:
        """What runs inputs of these shapes, filled up to the next buckets; None until they keep coming."""
        if any(len(each) > BUCKETS[-1] for each in inputs.values()):
            return None
        rows = ((name, _bucket(len(each)), *each.shape[1:], each.dtype) for name, each in inputs.items())
        shapes = (size, *rows)
        if shapes not in self._kept:
            if not self._is_due(shapes):
                return None
            own = {name: _filled(each) for name, each in inputs.items()}
            self._kept[shapes] = Player(self._record(self._function, own, size))
            if len(self._kept) > MAX_KEPT:
                forgotten, _ = self._kept.popitem(last=False)
                self._seen.pop(forgotten, None)
        self._kept.move_to_end(shapes)
        return self._kept[shapes]

    def forget(self) -> None:
        """Lets go of all recordings, and of their memory."""
        self._kept.clear()
        self._seen.clear()

    def _is_due(self, shapes: Hashable) -> bool:
        if len(self._seen) >= MAX_SEEN:
            self._seen.clear()
        self._seen[shapes] += 1
        return self._seen[shapes] > SEEN_BEFORE


def _bucket(n_rows: int) -> int:
    return next(size for size in BUCKETS if size >= n_rows)


def _filled(rows: Tensor) -> Tensor:
    """A copy with as many rows as the bucket has: the last one again and again."""
    missing = _bucket(len(rows)) - len(rows)
    memory_format = torch.channels_last if rows.ndim == 4 else torch.contiguous_format
    return torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])]).contiguous(memory_format=memory_format)
