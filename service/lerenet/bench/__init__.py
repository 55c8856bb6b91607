"""Benchmarks that people can run: the service under load, held against the bare network in the same run."""
