"""The published benchmarks of few-shot defect segmentation: their classes, folds, folder layout and lists."""

from lerenet.datasets.benchmarks.folds import BENCHMARKS, Benchmark, BenchmarkClass, find_benchmark
from lerenet.datasets.benchmarks.layout import BenchmarkFold, open_fold

__all__ = ["BENCHMARKS", "Benchmark", "BenchmarkClass", "BenchmarkFold", "find_benchmark", "open_fold"]
