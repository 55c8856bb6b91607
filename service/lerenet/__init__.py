"""LERENet: few-shot segmentation of metal surface defects, as a library and a service."""

__version__ = "0.1.0"
