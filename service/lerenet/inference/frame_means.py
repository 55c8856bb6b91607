"""Terms that are means over a whole frame, put together from those of its tiles."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lerenet.inference.blending import BlendedMap
    from lerenet.inference.jobs import Look
    from lerenet.network import Features


class FrameMeans:
    """Adds up what each tile says of its frame, and gives every tile what the frame says.

    A network may relate an image to the mean of all its cells, as the MPR does by its nodes. With each tile's own mean
    the answer would depend on where the frame was cut.

    Args:
        names: Of the terms, among the shared ones of `Features`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._of_frame: dict[BlendedMap, dict[str, Tensor]] = defaultdict(dict)

    def add(self, looks: Sequence[Look], features: Features) -> None:
        """Adds tiles, each by its share of its frame.

        Args:
            looks: The tiles.
            features: Of the tiles, in the same order.
        """
        for place, look in enumerate(looks):
            share = look.frame.grid.share(look.index)
            means = self._of_frame[look.frame]
            for name in self._names:
                means[name] = means.get(name, 0) + share * features.shared[name][place]

    def spread(self, looks: Sequence[Look], features: Features) -> Features:
        """The features with the means of their frames in place of their own; all tiles must have been added."""
        own = [self._of_frame[look.frame] for look in looks]
        means = {name: torch.stack([each[name] for each in own]) for name in self._names}
        return replace(features, shared={**features.shared, **means})
