"""What the network keeps of a support class."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class SupportEncoding:
    """The prototypes of B support classes: an immutable set of named tensors, each with leading axis B.

    Which names there are is the business of the network that made it (local descriptors, reasoning nodes, pooled
    vectors). Nothing in it grows with the number of shots.

    Attributes:
        tensors: Read-only mapping from name to tensor (B, ...).
    """

    tensors: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    @cached_property
    def signature(self) -> Hashable:
        """Encodings of equal signature can be stacked."""
        return tuple((name, tuple(tensor.shape)) for name, tensor in sorted(self.tensors.items()))

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, index: int | slice | Tensor) -> SupportEncoding:
        """Select classes; a single index keeps the leading axis."""
        kept = slice(index, index + 1 or None) if isinstance(index, int) else index
        return SupportEncoding({name: tensor[kept] for name, tensor in self.tensors.items()})

    def to(self, device: torch.device) -> SupportEncoding:
        """The same encoding on a device."""
        return SupportEncoding({name: tensor.to(device) for name, tensor in self.tensors.items()})

    def detached(self) -> SupportEncoding:
        """The same encoding, with no gradient to anything."""
        return SupportEncoding({name: tensor.detach() for name, tensor in self.tensors.items()})

    @staticmethod
    def stack(encodings: Sequence[SupportEncoding]) -> SupportEncoding:
        """Join classes along the leading axis; all from one network. The same single class again is not copied."""
        first, names = encodings[0], encodings[0].tensors
        if len(first) == 1 and all(each is first for each in encodings):
            rows = len(encodings)
            return SupportEncoding({name: each.expand(rows, *each.shape[1:]) for name, each in names.items()})
        return SupportEncoding({name: torch.cat([e.tensors[name] for e in encodings]) for name in names})

    def numpy(self) -> dict[str, NDArray[Any]]:
        """As float32 arrays in main memory, for a file."""
        return {name: tensor.detach().float().cpu().contiguous().numpy() for name, tensor in self.tensors.items()}

    @staticmethod
    def from_numpy(arrays: Mapping[str, NDArray[Any]]) -> SupportEncoding:
        """Back from arrays as `numpy` gave them; the arrays are copied."""
        return SupportEncoding({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
