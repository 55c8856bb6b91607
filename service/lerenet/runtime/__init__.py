"""The composition root of the server: settings become a network on its device, a registry, and pools."""

from lerenet.runtime.admission import Work
from lerenet.runtime.engine import Engine, build_engine
from lerenet.runtime.findings import Finding, SegmentationQuery
from lerenet.runtime.runtime import Runtime
from lerenet.runtime.segmentation import SegmentedFrame

__all__ = ["Engine", "Finding", "Runtime", "SegmentationQuery", "SegmentedFrame", "Work", "build_engine"]
