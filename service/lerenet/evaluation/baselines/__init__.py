"""The other rows of every table: training-free rules on the trunk of a trained LERENet, and trained peers.

Each stands in a file of its own, with its paper on top, and is written anew from that paper. Known faults of released
code are mended and named.
"""

from lerenet.evaluation.baselines.common_square import CommonSquare
from lerenet.evaluation.baselines.matching import DenseMatching
from lerenet.evaluation.baselines.peers import PEERS, build_peer, on_any_image
from lerenet.evaluation.baselines.pooled import PooledPrototypes
from lerenet.evaluation.baselines.self_support import SelfSupport

__all__ = [
    "PEERS",
    "CommonSquare",
    "DenseMatching",
    "PooledPrototypes",
    "SelfSupport",
    "build_peer",
    "on_any_image",
]
