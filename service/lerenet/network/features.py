"""What the network knows of an image before it hears of any class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Features:
    """Feature maps of B images, and the terms of their own that every class would compute again.

    Attributes:
        maps: Feature maps, finest first, each (B, C, h, w).
        size: (H, W) of the images in pixels, at network size.
        shared: Query-only terms by name, each with leading axis B.
    """

    maps: tuple[Tensor, ...]
    size: tuple[int, int]
    shared: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.maps[0])

    @property
    def n_bytes(self) -> int:
        """Memory that they take."""
        return sum(tensor.nbytes for tensor in (*self.maps, *self.shared.values()))

    def select(self, index: Tensor) -> Features:
        """Gather images along the leading axis: index (P,) int64, repeats allowed; gradients flow.

        Maps come with channels last. What belongs to a single image is not copied: every pair sees the same memory.
        """
        maps = tuple(_gathered(each, index) for each in self.maps)
        return Features(maps, self.size, {name: _gathered(term, index) for name, term in self.shared.items()})


def _gathered(term: Tensor, index: Tensor) -> Tensor:
    if len(term) == 1:
        return term.expand(len(index), *term.shape[1:])
    if term.ndim == 4:  # index_select forgets that channels come last
        return term.movedim(1, -1).index_select(0, index).movedim(-1, 1)
    return term.index_select(0, index)
