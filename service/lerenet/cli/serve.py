"""`lerenet serve`: the service in this process, and its HTTP beside it where the settings say so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="LERENET_HOST, else 127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.", show_default="LERENET_PORT, else 8000"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the registry; made when missing.", show_default="LERENET_DATA_DIR, else data"),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights file (safetensors).", show_default="LERENET_WEIGHTS, else the shipped one"),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="`auto`, `cuda`, `cuda:1` or `cpu`.", show_default="LERENET_DEVICE, else auto")
    ] = None,
) -> None:
    """Run the service until SIGTERM or SIGINT. Every setting is a variable LERENET_*; these options win."""
    from lerenet.cli.spinning import spin_briefly

    spin_briefly()
    from lerenet.settings import load_settings

    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "weights": weights,
        "device": device,
    }
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    if settings.http_processes:
        from lerenet.edge.core import serve as run_core

        raise typer.Exit(run_core(settings))
    from lerenet.api.server import serve as run

    raise typer.Exit(run(settings))
