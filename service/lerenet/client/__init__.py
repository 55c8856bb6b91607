"""Clients of a running service: `Client("http://127.0.0.1:8000")`, and `AsyncClient` with the same calls for asyncio.

They need httpx, numpy, Pillow and pydantic only.
"""

from lerenet.client.client import AsyncClient, Client
from lerenet.client.metadata import Metadata
from lerenet.client.problems import ServiceProblem
from lerenet.client.results import ClassResult, FrameResult, Quality, Region, ShotSummary, SupportClass
from lerenet.client.uploads import ImageSource, MaskSource

__all__ = [
    "AsyncClient",
    "ClassResult",
    "Client",
    "FrameResult",
    "ImageSource",
    "MaskSource",
    "Metadata",
    "Quality",
    "Region",
    "ServiceProblem",
    "ShotSummary",
    "SupportClass",
]
