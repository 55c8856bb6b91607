"""The composition root of the server: settings become a network on its device, a registry, and pools.

Of the names below none loads torch; `runtime.runtime` and `runtime.engine` do.
"""

from lerenet.runtime.admission import Work
from lerenet.runtime.findings import Finding, SegmentationQuery
from lerenet.runtime.segmentation import SegmentedFrame

__all__ = ["Finding", "SegmentationQuery", "SegmentedFrame", "Work"]
