"""Multi-Prototype Reasoning (MPR) of the published network: a graph over local descriptors of support and query."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision
from lerenet.network.paper.support import paired_descriptors

Pairing = Literal["cross", "self"]

STATES = "mpr_states"
ASSIGNMENTS = "mpr_assignments"


class MPR(nn.Module):
    """Reasons over 2V graph nodes gathered from the masked support map and the query map, V = d = C.

    Quirks of the published form, kept with `pairing="cross"`:

    * It is locked to positions: both node sets pair position l of the support with position l of the query, so support
      and query must share one size, and a permutation of the support's positions changes the result. As the support
      map is zero outside the mask, the support's nodes see only the query under the support's mask, and beyond it the
      bias of `phi`.
    * The sums over the L positions are not divided by L, so nodes start at the order of 10^3 and training may carry
      them past the range of float16: the graph runs in float32 whatever the autocast.
    * The adjacency is a learned constant, without softmax; ReLU stands before the state update.
    * A comment of the original speaks of a zero-initialised batch norm; its code leaves the weight at 1, as we do.

    Source: DingH2E/LDMP-RENet-main @5b9e585, model/MPR.py (from TGRNet's graph unit, after GloRe, arXiv 1811.12814). We
        differ: `pairing="self"` and `normalise=True` are ours, for comparison.

    Args:
        n_channels: C, channels of the maps.
        pairing: `cross` as published; `self` gathers each image's states by its own assignments, free of positions.
        normalise: Divide the nodes by L.
    """

    def __init__(self, n_channels: int, *, pairing: Pairing = "cross", normalise: bool = False) -> None:
        super().__init__()
        self.pairing = pairing
        self.normalise = normalise
        self.phi = nn.Conv2d(n_channels, n_channels, 1)
        self.theta = nn.Conv2d(n_channels, n_channels, 1)
        self.adjacency = nn.Conv1d(2 * n_channels, 2 * n_channels, 1)
        self.state_update = nn.Conv1d(n_channels, n_channels, 1, bias=False)
        self.merge = nn.Conv1d(2 * n_channels, n_channels, 1)
        self.expand = nn.Conv2d(n_channels, n_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(n_channels, eps=1e-4)

    def shared(self, features: Features) -> dict[str, Tensor]:
        """The query's own projections, once per image: states (B, d, L) and assignments (B, V, L)."""
        states, assignments = self._project(features.maps[0])
        return {STATES: states, ASSIGNMENTS: assignments}

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P query maps with P encodings to (P, C, h, w), the query map plus what the graph says of each position."""
        descriptors = paired_descriptors(query, encoding)
        with full_precision(descriptors):
            reasoned = self._reason(self._nodes(query, descriptors)) @ query.shared[ASSIGNMENTS].float()
            said: Tensor = self.norm(self.expand(reasoned.reshape(descriptors.shape)))
        return query.maps[0] + said

    def _project(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return self.phi(maps).flatten(2), self.theta(maps).flatten(2)

    def _nodes(self, query: Features, descriptors: Tensor) -> Tensor:
        """(P, d, 2V): the nodes of the support states, then those of the query states."""
        support_states, support_assignments = self._project(descriptors)
        query_states, query_assignments = query.shared[STATES].float(), query.shared[ASSIGNMENTS].float()
        partners = (query_assignments, support_assignments)
        for_support, for_query = partners if self.pairing == "cross" else partners[::-1]
        nodes = torch.cat([support_states @ for_support.mT, query_states @ for_query.mT], dim=2)
        return nodes / query_states.shape[2] if self.normalise else nodes

    def _reason(self, nodes: Tensor) -> Tensor:
        """(P, d, 2V) to (P, d, V); the node axis is the channel axis of `adjacency` and `merge`."""
        related = nodes + self.adjacency(nodes.mT).mT
        updated: Tensor = self.state_update(related.relu())
        merged: Tensor = self.merge(updated.mT)
        return merged.mT
