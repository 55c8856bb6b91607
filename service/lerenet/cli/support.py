"""`lerenet support`: the classes of a running service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lerenet.cli.class_table import print_classes
from lerenet.cli.display import print_table
from lerenet.cli.options import DEFAULT_URL, ClassName, MinArea, Threshold, Url, open_client
from lerenet.cli.support_files import export_class, import_classes

app = typer.Typer(add_completion=False)


@app.callback()
def support() -> None:
    """Register, list, look at and forget the classes of a running service."""


@app.command()
def add(
    context: typer.Context,
    name: ClassName,
    image: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A marked image; once for each.", show_default="none"),
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Its mask, in the order of images.", show_default="none"),
    ] = None,
    normal: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A defect-free image; once for each.", show_default="none"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="Take pairs from its images/ and masks/ instead.", show_default="none"
        ),
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="Take that many pairs of the folder, the first by name.")] = 5,
    normals: Annotated[int, typer.Option(min=0, help="Take that many of its normal/, the first by name.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a class of that name.")] = False,
    threshold: Threshold = None,
    min_area: MinArea = None,
    description: Annotated[str | None, typer.Option(help="Free text.", show_default="none")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Register a class: `add scratches --image a.png --mask a-mask.png`, or `add scratches --folder DIR --shots 5`."""
    pairs, frames = _pairs(image or [], mask or []), list(normal or [])
    if folder is not None:
        more_pairs, more_frames = _read_folder(folder, shots, normals)
        pairs, frames = [*pairs, *more_pairs], [*frames, *more_frames]
    if not pairs:
        raise typer.BadParameter("give --image with --mask, or --folder")
    with open_client(context, url) as client:
        registered = client.register(
            name,
            pairs,
            normals=frames,
            replace=replace,
            threshold=threshold,
            min_area_px=min_area,
            description=description,
        )
    print_classes([registered])


@app.command("list")
def list_classes(context: typer.Context, url: Url = DEFAULT_URL) -> None:
    """List all classes."""
    with open_client(context, url) as client:
        print_classes(client.classes())


@app.command()
def show(context: typer.Context, name: ClassName, url: Url = DEFAULT_URL) -> None:
    """Show one class and its shots; NAME@REVISION shows an earlier one."""
    with open_client(context, url) as client:
        found = client.get(name)
    print_classes([found])
    if found.description:
        typer.echo(found.description)
    rows = ((shot.index, f"{shot.height} x {shot.width}", shot.area_px) for shot in found.shots)
    print_table(("shot", "H x W, px", "marked, px"), rows)


@app.command()
def delete(
    context: typer.Context,
    name: ClassName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Forget a class, with all its revisions and the images that no other class uses."""
    if not yes:
        typer.confirm(f"Delete {name} with its images?", abort=True)
    with open_client(context, url) as client:
        client.delete(name)
    typer.echo(f"{name} is deleted")


app.command("import")(import_classes)
app.command("export")(export_class)


def _pairs(images: Sequence[Path], masks: Sequence[Path]) -> list[tuple[Path, Path]]:
    if len(images) != len(masks):
        raise typer.BadParameter(f"{len(images)} times --image and {len(masks)} times --mask: give one mask an image")
    return list(zip(images, masks, strict=True))


def _read_folder(folder: Path, n_shots: int, n_normals: int) -> tuple[list[tuple[Path, Path]], list[Path]]:
    from lerenet.datasets.folder import open_folder

    found = open_folder(folder)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise typer.BadParameter(f"{folder} holds several classes: name the folder of one of {names}")
    pairs = [(pair.image_path, pair.mask_path) for pair in found[0].pairs if pair.mask_path is not None]
    return pairs[:n_shots], [normal.image_path for normal in found[0].normals[:n_normals]]
