"""`lerenet registry`: what a service keeps, in its data folder or database: checked, copied out of, copied into."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lerenet.conflicts import OnConflict, OnCopyConflict

PLACE_HELP = "The service's data folder, or the postgresql:// address of its database."
VARIABLES = ["LERENET_DATABASE_URL", "LERENET_DATA_DIR"]
"""The first that is set counts, as in the service."""

PlaceOption = Annotated[str, typer.Option("--data-dir", envvar=VARIABLES, help=PLACE_HELP)]
PlaceArgument = Annotated[str, typer.Argument(metavar="DATA_DIR", envvar=VARIABLES, help=PLACE_HELP)]

app = typer.Typer(add_completion=False)

AUDIT_FIELDS = ("time", "who", "what", "class", "before", "after", "request_id")


@app.callback()
def registry() -> None:
    """Check a registry in a data folder or a database; take classes out of it and into it."""


@app.command()
def verify(
    place: PlaceArgument = "data",
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Restore a lost or damaged index; stop the service first.")
    ] = False,
) -> None:
    """Compare index, manifests and images, and hash every image. Exit status 1 when something is lost or damaged."""
    from lerenet.support import verify_place

    report = verify_place(place, rebuild=rebuild)
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
    place: PlaceOption = "data",
) -> None:
    """Write classes, their images, masks and manifests, into one file; the service may go on."""
    from lerenet.support import export_classes

    typer.echo(f"{export_classes(place, archive, names or ())} classes in {archive}")


@app.command("import")
def import_archive(
    archive: Annotated[Path, typer.Argument(help="What `export` wrote.", dir_okay=False, exists=True)],
    on_conflict: Annotated[
        OnConflict,
        typer.Option(help="When a name is taken by other content: refuse all, import as NAME-2, or replace."),
    ] = "refuse",
    place: PlaceOption = "data",
) -> None:
    """Take classes from an exported file, every hash checked. A running service finds them; again, nothing changes."""
    from lerenet.support import import_classes

    for each in import_classes(place, archive, on_conflict=on_conflict):
        origin = f" (from {each.archived_name})" if each.name != each.archived_name else ""
        typer.echo(f"{each.outcome}: {each.name}@{each.revision}{origin}")


@app.command()
def audit(
    place: PlaceArgument = "data",
    name: Annotated[str | None, typer.Option("--class", help="Only changes of this class.", show_default="all")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Whole lines, as they are kept.")] = False,
) -> None:
    """Print who changed which class, oldest first: time, API key, what, class, revision before and after, request."""
    import json

    from lerenet.support import read_changes

    for change in read_changes(place):
        if name is None or change.get("class") == name:
            fields = (change.get(field) or "-" for field in AUDIT_FIELDS)
            typer.echo(json.dumps(change) if as_json else "  ".join(map(str, fields)))


@app.command("copy")
def copy_whole(
    source: Annotated[str, typer.Option("--from", help=PLACE_HELP)],
    target: Annotated[str, typer.Option("--to", help="Likewise; made when missing.")],
    on_conflict: Annotated[
        OnCopyConflict, typer.Option(help="When a name is taken by other content: refuse all, or put these on top.")
    ] = "refuse",
) -> None:
    """Copy a whole registry: revisions in order, images, owners, trail. Again, it goes on or changes nothing."""
    from lerenet.support import copy_registry

    n_classes = 0
    for each in copy_registry(source, target, on_conflict=on_conflict):
        n_classes += 1
        typer.echo(f"{each.outcome}: {each.name}@{each.revision}, {each.n_revisions} revisions")
    typer.echo(f"{n_classes} classes")


@app.command()
def migrate(
    url: Annotated[
        str,
        typer.Argument(metavar="DATABASE_URL", envvar="LERENET_DATABASE_URL", help="Of a user who may make tables."),
    ],
) -> None:
    """Bring the tables of a database to this release's version; a service that may does so itself when it starts."""
    from lerenet.support import migrate_database

    before, now = migrate_database(url)
    change = "as before" if before == now else f"{before} before" if before else "made now"
    typer.echo(f"tables are at version {now}, {change}")
