"""Multi-Prototype Reasoning (MPR), free of positions."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import MOMENTUM, as_map, full_precision
from lerenet.network.metal.names import FINEST, NODES, descriptor

QUERY_NODES = "mpr_nodes"
"""Name of the query's nodes among the features' shared terms: means over its cells, (B, V, V)."""

_ASSIGNMENTS = "mpr_assignments"
_PASSED_ON = "mpr_query"


class MPR(nn.Module):
    """Reasons over the support's graph nodes and the query's, and writes the result back onto the query.

    Each image's states are gathered by its own assignments and divided by the number of cells, so neither place nor
    size of a defect matters; the support's nodes are part of its encoding, the query's are computed once per image.
    What is gathered are descriptors, of unit length: the result is cubic in them, and few strong cells would drown the
    rest.

    Source: LERENet's MPR (arXiv 2403.11122). We differ: pairing within each image instead of across, means instead of
        sums, few nodes, a projection of the query instead of the query itself.

    Args:
        n_channels: C of the finest map.
        n_descriptor: d of its descriptors.
        n_nodes: V nodes per image, with as many state dimensions.
        n_out: h, channels of the result.
    """

    def __init__(self, n_channels: int, n_descriptor: int, n_nodes: int, n_out: int) -> None:
        super().__init__()
        self.phi = nn.Conv2d(n_descriptor, n_nodes, 1)
        self.theta = nn.Conv2d(n_descriptor, n_nodes, 1)
        self.adjacency = nn.Conv1d(2 * n_nodes, 2 * n_nodes, 1)
        self.state_update = nn.Conv1d(n_nodes, n_nodes, 1, bias=False)
        self.merge = nn.Conv1d(2 * n_nodes, n_nodes, 1)
        self.expand = nn.Conv2d(n_nodes, n_out, 1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(n_out, momentum=MOMENTUM)
        self.pass_on = nn.Conv2d(n_channels, n_out, 1)

    def gather_nodes(self, cells: Tensor, weights: Tensor) -> Tensor:
        """Sums of nodes (M, V, V) over the descriptors of M images (M, d, h, w), each cell weighted by (M, h * w)."""
        states, assignments = self._project(cells)
        with full_precision(cells):
            return (states * weights[:, None]) @ assignments.mT

    def shared(self, features: Features) -> dict[str, Tensor]:
        """Once per image: assignments (B, V, n), the query's own nodes (B, V, V), its projection (B, h, h', w')."""
        states, assignments = self._project(features.shared[descriptor(FINEST)])
        with full_precision(states):
            nodes = states @ assignments.mT / assignments.shape[2]
        return {QUERY_NODES: nodes, _ASSIGNMENTS: assignments, _PASSED_ON: self.pass_on(features.maps[FINEST])}

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, h, h', w')."""
        nodes = torch.cat([encoding.tensors[NODES], query.shared[QUERY_NODES]], dim=2)
        related = nodes + self.adjacency(nodes.mT).mT
        merged = self.merge(self.state_update(related.relu()).mT).mT  # (P, V, V)
        expanded = self.expand.weight.flatten(1) @ merged  # (P, h, V): of a few nodes, not of every cell
        passed_on = query.shared[_PASSED_ON]
        reasoned = query.shared[_ASSIGNMENTS].mT @ expanded.mT  # (P, n, h)
        written = self.norm(as_map(reasoned, passed_on).to(passed_on.dtype))
        return passed_on + cast(Tensor, written)

    def _project(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """States and assignments (M, V, n) each; float32, for sums over thousands of cells."""
        cells = cells * cells.shape[1] ** 0.5  # unit length leaves each channel tiny beside the biases
        return self.phi(cells).flatten(2).float(), self.theta(cells).flatten(2).float()
