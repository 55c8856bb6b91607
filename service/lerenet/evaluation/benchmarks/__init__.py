"""Measuring weights on the published benchmarks: as the authors do, and cleanly."""

from lerenet.evaluation.benchmarks.authors import BenchmarkReport, measure_as_authors, write_benchmark_report
from lerenet.evaluation.benchmarks.clean import any_size_segmenter, measure_clean
from lerenet.evaluation.benchmarks.provenance import describe_selection, trained_size_px

__all__ = [
    "BenchmarkReport",
    "any_size_segmenter",
    "describe_selection",
    "measure_as_authors",
    "measure_clean",
    "trained_size_px",
    "write_benchmark_report",
]
