"""`lerenet registry`: the data folder of a service, checked on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.callback()
def registry() -> None:
    """Check the registry in a data folder."""


@app.command()
def verify(
    data_dir: Annotated[
        Path, typer.Argument(envvar="LERENET_DATA_DIR", help="The service's data folder.", file_okay=False)
    ] = Path("data"),
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Restore a lost or damaged index; stop the service first.")
    ] = False,
) -> None:
    """Compare index, manifests and images, and hash every image. Exit status 1 when something is lost or damaged."""
    from lerenet.support import verify_store

    report = verify_store(data_dir, rebuild=rebuild)
    for line in report.problems:
        typer.echo(f"problem: {line}")
    for line in report.leftovers:
        typer.echo(f"left over, removed at the next start: {line}")
    if report.is_restored:
        typer.echo("the index was made anew from the manifests")
    counts = f"{report.n_classes} classes, {report.n_revisions} revisions, {report.n_blobs} files"
    typer.echo(f"{counts}: {f'{len(report.problems)} problems' if report.problems else 'whole'}")
    if report.problems:
        raise typer.Exit(1)
