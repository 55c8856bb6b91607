"""The client of a running service: `Client("http://127.0.0.1:8000")`. Needs httpx, numpy, Pillow and pydantic only."""

from lerenet.client.client import Client
from lerenet.client.problems import ServiceProblem
from lerenet.client.results import ClassResult, FrameResult, Quality, Region, ShotSummary, SupportClass
from lerenet.client.uploads import ImageSource, MaskSource

__all__ = [
    "ClassResult",
    "Client",
    "FrameResult",
    "ImageSource",
    "MaskSource",
    "Quality",
    "Region",
    "ServiceProblem",
    "ShotSummary",
    "SupportClass",
]
