"""Training-free rows of every table: the trunk of a trained LERENet, and a rule without parameters on top of it."""

from lerenet.evaluation.baselines.matching import DenseMatching
from lerenet.evaluation.baselines.pooled import PooledPrototypes

__all__ = ["DenseMatching", "PooledPrototypes"]
