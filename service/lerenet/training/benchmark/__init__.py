"""Training on a fold of a published benchmark, by the authors' recipe and with either way to choose a checkpoint."""

from lerenet.training.benchmark.plan import PROTOCOLS, BenchmarkPlan, Protocol
from lerenet.training.benchmark.run import BenchmarkOutcome, train_on_benchmark

__all__ = ["PROTOCOLS", "BenchmarkOutcome", "BenchmarkPlan", "Protocol", "train_on_benchmark"]
