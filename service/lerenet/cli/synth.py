"""`lerenet synth`: synthetic plates to look at, or as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.imaging import Shot

app = typer.Typer(add_completion=False)

_DEFECT_FREE = 0.3


@app.command()
def synth(
    seed: Annotated[int, typer.Option(min=0, help="Chooses the plates.")] = 0,
    episodes: Annotated[int, typer.Option(min=1, help="Rows of the sheet, each one defect class.")] = 8,
    size: Annotated[int, typer.Option(min=64, help="Side of a plate in pixels, a multiple of 8.")] = 200,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The sheet, a PNG.")] = Path("sheet.png"),
    folder: Annotated[
        Path | None,
        typer.Option(help="Also write one class as a folder of images/, masks/ and normal/.", show_default="none"),
    ] = None,
    plates: Annotated[int, typer.Option(min=2, help="Plates in that folder.")] = 24,
) -> None:
    """Draw synthetic metal plates with masks: a contact sheet, and a folder that `evaluate` and `support` read."""
    if size % 8:
        raise typer.BadParameter(f"{size} is no multiple of 8", param_hint="--size")
    from lerenet.imaging import encode_image_png
    from lerenet.synthetic import EpisodeGenerator
    from lerenet.synthetic.sheet import contact_sheet, episode_shots

    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(encode_image_png(contact_sheet(EpisodeGenerator(seed, size), episodes)))
    typer.echo(f"{out}: {episodes} classes, each plate beside its mask")
    if folder is not None:
        generator = EpisodeGenerator(seed, size, n_images=plates, defect_free=_DEFECT_FREE)
        shots = episode_shots(generator, 0)
        _write_class(shots, folder)
        n_marked = sum(shot.mask.any() for shot in shots)
        typer.echo(f"{folder}: {n_marked} plates with masks, {len(shots) - n_marked} defect-free")


def _write_class(shots: Sequence[Shot], folder: Path) -> None:
    """Numbers the marked plates and the defect-free ones each from 000."""
    from lerenet.imaging import encode_bilevel_png, encode_image_png

    for name in ("images", "masks", "normal"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index, shot in enumerate(shot for shot in shots if shot.mask.any()):
        (folder / "images" / f"{index:03}.png").write_bytes(encode_image_png(shot.image))
        (folder / "masks" / f"{index:03}.png").write_bytes(encode_bilevel_png(shot.mask))
    for index, shot in enumerate(shot for shot in shots if not shot.mask.any()):
        (folder / "normal" / f"{index:03}.png").write_bytes(encode_image_png(shot.image))
