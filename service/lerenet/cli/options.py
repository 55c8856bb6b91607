"""Options that several commands share, and the client they lead to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import httpx
import typer

from lerenet.client import Client

DEFAULT_URL = "http://127.0.0.1:8000"

Url = Annotated[str, typer.Option(envvar="LERENET_URL", help="Address of the running service.")]
ClassName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the class.")]
Threshold = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Probability from which a pixel is marked, 0 to 1.", show_default="as registered"),
]
MinArea = Annotated[
    int | None,
    typer.Option("--min-area", min=0, help="Leave out smaller regions, in pixels.", show_default="as registered"),
]
Weights = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Weights file (safetensors).", show_default="the shipped one"),
]
Device = Annotated[str, typer.Option(help="`auto` (CUDA where there is one), `cuda`, `cuda:1` or `cpu`.")]

BenchmarkName = Annotated[
    str | None, typer.Option("--benchmark", help="`surface-defects-4i` or `fssd-12`.", show_default="none")
]
BenchmarkRoot = Annotated[
    Path | None,
    typer.Option(
        "--root", exists=True, file_okay=False, help="Folder of the benchmark's class folders.", show_default="none"
    ),
]
Fold = Annotated[int, typer.Option(min=0, max=2, help="Fold of the benchmark: which classes it tests.")]


def required_root(root: Path | None) -> Path:
    """The folder of a benchmark, which must be named.

    Raises:
        BadParameter: It is not.
    """
    if root is None:
        raise typer.BadParameter("a benchmark needs the folder of its class folders", param_hint="--root")
    return root


def open_client(context: typer.Context, url: str) -> Client:
    """A client of the service at `url`, with the key of `LERENET_API_KEY` if there is one.

    Args:
        context: Of the command; who calls `lerenet` from Python may hand over an httpx transport as its object.
        url: Of the service.
    """
    transport = context.obj if isinstance(context.obj, httpx.BaseTransport) else None
    return Client(url, api_key=os.environ.get("LERENET_API_KEY") or None, transport=transport)
