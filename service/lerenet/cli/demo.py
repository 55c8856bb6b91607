"""`lerenet demo`: the whole way once, on synthetic plates, with the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lerenet.cli.display import print_table
from lerenet.cli.local_service import service_at
from lerenet.cli.options import DEFAULT_URL, Url, open_client

if TYPE_CHECKING:
    from lerenet.client import ClassResult, Client
    from lerenet.imaging import Image, Shot

app = typer.Typer(add_completion=False)

N_SHOTS, N_QUERIES = 5, 6
DEFAULT_SEED = 6  # ragged pits on a cast surface: a class that the shipped weights find well; others are harder
SHEET = "sheet.png"

_PLATE_PX = 200


@dataclass(frozen=True, eq=False)
class _Segmented:
    """A plate with its truth, and what the service found in it."""

    plate: Shot
    found: ClassResult

    @property
    def overlay(self) -> Image:
        from lerenet.imaging.overlay import overlay

        return overlay(self.plate.image, self.found.binary_mask)


@app.command()
def demo(
    context: typer.Context,
    url: Url = DEFAULT_URL,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the defect class and its plates.")] = DEFAULT_SEED,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the pictures.")] = Path("lerenet-demo"),
) -> None:
    """Register a synthetic defect class from 5 marked plates and find it on 6 others, with IoU against the truth.

    Uses the service at the address. Where none answers, one with a temporary data folder runs for as long as it takes.
    """
    plates = _draw_plates(seed)
    with service_at(url, partial(open_client, context), typer.echo) as client:
        segmented = _register_and_segment(client, f"lerenet-demo-{seed}", plates[:N_SHOTS], plates[N_SHOTS:])
    _print_result(segmented)
    _write_pictures(out, plates[:N_SHOTS], segmented)
    typer.echo(f"overlays in {out}; {out / SHEET} shows plate, truth and result of each, the shots first")


def _draw_plates(seed: int) -> Sequence[Shot]:
    from lerenet.synthetic import EpisodeGenerator
    from lerenet.synthetic.sheet import episode_shots

    return episode_shots(EpisodeGenerator(seed, _PLATE_PX, n_images=N_SHOTS + N_QUERIES, defect_free=0.0), 0)


def _register_and_segment(
    client: Client, name: str, shots: Sequence[Shot], queries: Sequence[Shot]
) -> Sequence[_Segmented]:
    registered = client.register(name, [(shot.image, shot.mask) for shot in shots], description="made by lerenet demo")
    try:
        quality = "" if registered.quality is None else f", leave-one-out IoU {registered.quality.loo_iou:.2f}"
        typer.echo(f"registered {name} from {len(shots)} shots: threshold {registered.threshold:.2f}{quality}")
        frames = client.segment([query.image for query in queries], [name])
    finally:
        client.delete(name)
    return [_Segmented(query, frame.classes[0]) for query, frame in zip(queries, frames, strict=True)]


def _print_result(segmented: Sequence[_Segmented]) -> None:
    from lerenet.imaging import OverlapCounts, overlap

    counts = [overlap(each.found.binary_mask, each.plate.mask) for each in segmented]
    rows = [
        (index, each.plate.area_px, each.found.area_px, each.found.score, count.iou)
        for index, (each, count) in enumerate(zip(segmented, counts, strict=True), start=1)
    ]
    pooled = sum(counts, OverlapCounts())
    total = ("all", sum(row[1] for row in rows), sum(row[2] for row in rows), None, pooled.iou)
    print_table(("plate", "marked, px", "found, px", "score", "IoU"), [*rows, total])


def _write_pictures(out: Path, shots: Sequence[Shot], segmented: Sequence[_Segmented]) -> None:
    from lerenet.imaging import encode_image_png
    from lerenet.imaging.overlay import overlay, tiled

    out.mkdir(parents=True, exist_ok=True)
    for index, each in enumerate(segmented, start=1):
        (out / f"plate-{index}.png").write_bytes(encode_image_png(each.plate.image))
        (out / f"overlay-{index}.png").write_bytes(encode_image_png(each.overlay))
    truths = [overlay(each.plate.image, each.plate.mask) for each in segmented]
    rows = [
        [overlay(shot.image, shot.mask) for shot in shots],
        [each.plate.image for each in segmented],
        truths,
        [each.overlay for each in segmented],
    ]
    (out / SHEET).write_bytes(encode_image_png(tiled(rows)))
