"""`lerenet support import` and `export`: classes from and to the files of annotation tools."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lerenet.cli.class_table import print_classes
from lerenet.cli.options import DEFAULT_URL, ClassName, MinArea, Threshold, Url, open_client

if TYPE_CHECKING:
    from lerenet.formats.annotated import AnnotatedImage
    from lerenet.imaging import Mask

MAX_NAME_LENGTH = 64


def import_classes(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            default_factory=list,
            metavar="NAME",
            help="Classes to register.",
            show_default="every label",
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            metavar="FILE",
            help="COCO annotation file, Label Studio export, LabelMe file, or a folder of those.",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of the images.", show_default="that of FILE"),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Label of each name, in their order, where it is another word.", show_default="none"),
    ] = None,
    shots: Annotated[int, typer.Option(min=1, help="Take that many marked images per class, the first.")] = 5,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of classes of those names.")] = False,
    threshold: Threshold = None,
    min_area: MinArea = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Register classes from an annotation file: `import scratches coco.json --images DIR --label Scratch`."""
    from lerenet.formats.reading import read_annotations

    annotated = read_annotations(file)
    folder = images or (file if file.is_dir() else file.parent)
    classes = _chosen(names, label or [], sorted({each for image in annotated for each in image.shapes}), file)
    with open_client(context, url) as client:
        registered = [
            client.register(
                name,
                _pairs(annotated, each, folder, shots),
                replace=replace,
                threshold=threshold,
                min_area_px=min_area,
            )
            for name, each in classes.items()
        ]
    print_classes(registered)


def export_class(
    context: typer.Context,
    name: ClassName,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to write to; made when missing.")],
    form: Annotated[
        Literal["folder", "coco"],
        typer.Option("--format", help="`folder`: images/ and masks/; `coco`: images/ and annotations.json."),
    ] = "folder",
    url: Url = DEFAULT_URL,
) -> None:
    """Write the images and masks of a class; NAME@REVISION takes an earlier one."""
    from lerenet.formats.coco_dataset import coco_dataset
    from lerenet.imaging import encode_bilevel_png, image_type

    if out.is_dir() and any(out.iterdir()):
        raise typer.BadParameter(f"{out} is not empty: name a new folder", param_hint="--out")
    written: list[tuple[str, Mask]] = []
    with open_client(context, url) as client:
        found = client.get(name)
        (out / "images").mkdir(parents=True)
        reference = f"{found.name}@{found.revision}"  # so that all shots are of one revision
        for shot in found.shots:
            image, mask = client.shot_image(reference, shot.index), client.shot_mask(reference, shot.index)
            file_name = f"{shot.index:03}.{image_type(image)}"
            (out / "images" / file_name).write_bytes(image)
            written.append((file_name, mask))
    if form == "coco":
        text = json.dumps(coco_dataset(found.name, written))
        (out / "annotations.json").write_text(text, encoding="utf-8")
    else:
        (out / "masks").mkdir()
        for file_name, mask in written:
            (out / "masks" / file_name).with_suffix(".png").write_bytes(encode_bilevel_png(mask))
    typer.echo(f"{reference}: {len(written)} shots in {out}")


def _chosen(names: Sequence[str], labels: Sequence[str], known: Sequence[str], file: Path) -> dict[str, str]:
    """The label of each class to register, by name."""
    if names and labels and len(names) != len(labels):
        raise typer.BadParameter(f"{len(names)} names and {len(labels)} times --label: give one label a name")
    wanted = labels or [_label_of(name, known) for name in names] or known
    unknown = [label for label in wanted if label not in known]
    if unknown or not wanted:
        listed = ", ".join(map(repr, known)) or "none"
        what = f"no label {unknown[0]!r}" if unknown else "nothing marked"
        raise typer.BadParameter(f"{file} holds {what}; its labels are {listed}: choose with --label")
    classes = dict(zip(names or map(_name_of, wanted), wanted, strict=True))
    if len(classes) < len(wanted) or "" in classes:
        raise typer.BadParameter(f"the labels {', '.join(wanted)} do not make one name each: give NAMEs with --label")
    return classes


def _label_of(name: str, known: Sequence[str]) -> str:
    """The label that is spelt like a name, or becomes it."""
    return next((label for label in known if name in (label, _name_of(label))), name)


def _name_of(label: str) -> str:
    """A label as the name of a class."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-._")[:MAX_NAME_LENGTH]


def _pairs(annotated: Sequence[AnnotatedImage], label: str, folder: Path, n_shots: int) -> list[tuple[Path, Mask]]:
    """The first images on which something of a label is marked, with their masks."""
    pairs: list[tuple[Path, Mask]] = []
    for image in annotated:
        if len(pairs) == n_shots:
            break
        if label in image.shapes and (mask := image.mask(label)).any():
            pairs.append((image.find(folder), mask))
    return pairs
