"""`lerenet registry`: the data folder of a service, on disk: checked, copied out of, copied into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

OnConflict = Literal["refuse", "rename", "replace"]

DATA_DIR_HELP = "The service's data folder."
DataDir = Annotated[Path, typer.Option(envvar="LERENET_DATA_DIR", help=DATA_DIR_HELP, file_okay=False)]
DataFolder = Annotated[Path, typer.Argument(envvar="LERENET_DATA_DIR", help=DATA_DIR_HELP, file_okay=False)]

app = typer.Typer(add_completion=False)

AUDIT_FIELDS = ("time", "who", "what", "class", "before", "after", "request_id")


@app.callback()
def registry() -> None:
    """Check the registry in a data folder; take classes out of it and into it."""


@app.command()
def verify(
    data_dir: DataFolder = Path("data"),
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


@app.command("export")
def export_archive(
    archive: Annotated[Path, typer.Argument(help="Tar file to write.", dir_okay=False)],
    names: Annotated[
        list[str] | None, typer.Option("--class", help="Class to export; repeat it.", show_default="all")
    ] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Write classes, their images, masks and manifests, into one file; the service may go on."""
    from lerenet.support import export_classes

    typer.echo(f"{export_classes(data_dir, archive, names or ())} classes in {archive}")


@app.command("import")
def import_archive(
    archive: Annotated[Path, typer.Argument(help="What `export` wrote.", dir_okay=False, exists=True)],
    on_conflict: Annotated[
        OnConflict,
        typer.Option(help="When a name is taken by other content: refuse all, import as NAME-2, or replace."),
    ] = "refuse",
    data_dir: DataDir = Path("data"),
) -> None:
    """Take classes from an exported file, every hash checked. A running service finds them; again, nothing changes."""
    from lerenet.support import import_classes

    for each in import_classes(data_dir, archive, on_conflict=on_conflict):
        origin = f" (from {each.archived_name})" if each.name != each.archived_name else ""
        typer.echo(f"{each.outcome}: {each.name}@{each.revision}{origin}")


@app.command()
def audit(
    data_dir: DataFolder = Path("data"),
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
