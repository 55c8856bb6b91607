"""`lerenet weights`: the files that a network is made from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lerenet.cli.display import print_table

app = typer.Typer(add_completion=False)

_MIB = 1 << 20


@app.callback()
def weights() -> None:
    """List, verify and describe weights files."""


@app.command("list")
def list_weights() -> None:
    """List the shipped files; the first is the default."""
    from lerenet.network.weights import read_manifest

    rows = (
        (entry.file, entry.preset, f"{entry.bytes / _MIB:.1f}", entry.input, entry.made, f"{entry.sha256[:12]}…")
        for entry in read_manifest()
    )
    print_table(("file", "preset", "MiB", "input", "made", "sha256"), rows)


@app.command()
def verify() -> None:
    """Compare every shipped file with the manifest. Exit status 1 when one differs."""
    from lerenet.network.weights import read_manifest, verify_weights

    for entry in read_manifest():
        verify_weights(entry)
        typer.echo(f"{entry.file}: whole, sha256 {entry.sha256}")


@app.command()
def info(
    file: Annotated[
        Path | None, typer.Argument(help="A weights file (safetensors).", show_default="the shipped one")
    ] = None,
) -> None:
    """Describe the network in a file."""
    from lerenet.network.weights import load_weights, shipped_weights, weights_digest

    path = file or shipped_weights()
    network = load_weights(path)
    facts = {
        "file": path,
        "sha256": weights_digest(path),
        "bytes": path.stat().st_size,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "size multiple, px": network.stride_multiple,
        **asdict(network.config),
    }
    print_table(("", "value"), ((fact, str(value)) for fact, value in facts.items()))
