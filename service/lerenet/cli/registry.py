"""`lerenet registry`: the data folder of a service, checked on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

AUDIT_FIELDS = ("time", "who", "what", "class", "before", "after", "request_id")


@app.callback()
def registry() -> None:
    """Check the registry in a data folder."""


DataDir = Annotated[Path, typer.Argument(envvar="LERENET_DATA_DIR", help="The service's data folder.", file_okay=False)]


@app.command()
def verify(
    data_dir: DataDir = Path("data"),
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


@app.command()
def audit(
    data_dir: DataDir = Path("data"),
    name: Annotated[str | None, typer.Option("--class", help="Only changes of this class.", show_default="all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Whole lines, as they are kept.")] = False,
) -> None:
    """Print who changed which class, oldest first: time, API key, what, class, revision before and after, request."""
    import json

    from lerenet.support import read_trail
    from lerenet.support.layout import Layout

    for change in read_trail(Layout(data_dir).audit):
        if name is None or change.get("class") == name:
            fields = (change.get(field) or "-" for field in AUDIT_FIELDS)
            typer.echo(json.dumps(change) if as_json else "  ".join(map(str, fields)))
