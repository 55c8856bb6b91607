"""`lerenet weights`: the files that a network is made from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lerenet.cli.chosen_weights import ChosenWeights
from lerenet.cli.display import print_table, progress_bar
from lerenet.cli.options import Device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.evaluation.switching import ClassSwitch
    from lerenet.inference.segmenter import Segmenter

app = typer.Typer(add_completion=False)

_MIB = 1 << 20


@app.callback()
def weights() -> None:
    """List, verify, describe and compare weights files."""


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


@app.command()
def gallery(
    out: Annotated[Path, typer.Argument(dir_okay=False, help="PNG to write.")],
    file: Annotated[
        Path | None, typer.Option("--weights", help="A weights file (safetensors).", show_default="the shipped one")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Held-out synthetic episodes, four queries each.")] = 60,
    shots: Annotated[int, typer.Option(min=1, help="Shots of a class.")] = 5,
    shown: Annotated[int, typer.Option(min=1, help="Answers to draw, worst first.")] = 12,
    size: Annotated[int, typer.Option(min=64, help="Side of a plate in pixels, a multiple of 8.")] = 200,
    device: Device = "auto",
) -> None:
    """Draw the worst answers on synthetic plates that no training has seen: shot, query, hit, miss and false alarm."""
    import numpy as np
    from PIL import Image

    from lerenet.evaluation.gallery import answer_plates, gallery_plates, render_gallery
    from lerenet.inference.device import choose_device
    from lerenet.inference.segmenter import Segmenter
    from lerenet.network.weights import load_weights, shipped_weights

    chosen = choose_device(device)
    segmenter = Segmenter(load_weights(file or shipped_weights(), chosen), chosen)
    with progress_bar() as bar:
        task = bar.add_task("segmenting", total=episodes)
        source = gallery_plates(shots, 4, size, chosen)
        cases = answer_plates(segmenter, source, episodes, shots, lambda: bar.update(task, advance=1))
    Image.fromarray(render_gallery(cases, shown)).quantize(128).save(out, optimize=True)
    ious = np.array([case.iou for case in cases if case.query.mask.any()])
    typer.echo(
        f"{len(ious)} marked plates: IoU {np.mean(ious):.3f} in mean, {np.quantile(ious, 0.1):.3f} at the lowest tenth;"
        f" the worst {min(shown, len(cases))} of {len(cases)} answers in {out}"
    )


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Weights in use.")],
    b: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Weights to switch to.")],
    data_dir: Annotated[
        Path, typer.Option(envvar="LERENET_DATA_DIR", file_okay=False, help="The service's data folder; only read.")
    ] = Path("data"),
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for a sheet of overlays a class.", show_default="none")
    ] = None,
    device: Device = "auto",
) -> None:
    """Show for each registered class how its masks would change under other weights.

    Each shot is segmented by the others, and each normal by a class that has not seen it; the exit status is 0 whatever
    the masks say.
    """
    from lerenet.evaluation.switching import compare_class, write_sheets
    from lerenet.support import read_stored_classes

    segmenters = [_segmenter(ChosenWeights(path, device)) for path in (a, b)]
    switches: list[ClassSwitch] = []
    with progress_bar() as bar:
        task = bar.add_task("comparing", total=None)
        for stored in read_stored_classes(data_dir):
            bar.update(task, advance=1, description=stored.record.name)
            switches.append(compare_class(stored, segmenters[0], segmenters[1], ("A", "B")))
    _print_switches(switches, a, b)
    if out is not None:
        write_sheets(switches, out)
        typer.echo(f"sheets in {out}")


def _segmenter(chosen: ChosenWeights) -> Segmenter:
    from lerenet.evaluation.benchmarks import any_size_segmenter

    return any_size_segmenter(chosen.network, chosen.device, chosen.precision)


def _print_switches(switches: Sequence[ClassSwitch], a: Path, b: Path) -> None:
    columns = ("class", "shots", "normals", "IoU A", "IoU B", "cut A", "cut B", "changed", "false A", "false B")
    rows = [
        (
            f"{each.name}*" if each.is_turned else each.name,
            each.n_shots,
            each.n_normals,
            each.before.loo_iou,
            each.after.loo_iou,
            each.before.threshold,
            each.after.threshold,
            f"{each.changed:.2%}",
            *("-" if side.alarm_area is None else f"{side.alarm_area:.3%}" for side in (each.before, each.after)),
        )
        for each in switches
    ]
    print_table(columns, rows)
    typer.echo(f"A is {a}, B is {b}")
    typer.echo("IoU: each shot segmented by the others; cut: suggested threshold; false: share of the normals marked")
    typer.echo("changed: share of the pixels of shots and normals whose mask differs")
    if any(each.is_turned for each in switches):
        typer.echo("* its only shot was segmented from itself, turned by half: no measure of other images")
    if not switches:
        typer.echo("no class is registered there")
