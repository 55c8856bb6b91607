"""`lerenet calibrate`: region scores of a weights file that keep their word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lerenet.cli.display import progress_bar
from lerenet.cli.options import Device

if TYPE_CHECKING:
    from lerenet.training.calibration import Calibration

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A weights file (safetensors).")],
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the calibrated file goes.", show_default="FILE itself")
    ] = None,
    episodes: Annotated[int, typer.Option(min=2, help="Held-out synthetic episodes.")] = 120,
    size: Annotated[int, typer.Option(min=64, help="Side of a plate in pixels, a multiple of 8.")] = 200,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="PNG of the reliability diagram.", show_default="none")
    ] = None,
    device: Device = "auto",
) -> None:
    """Fit what region scores mean, on synthetic plates that no training has seen, and write it beside the weights.

    Half of the episodes judge the fit of the other half. The weights stay as they are; the file's digest changes.
    """
    from lerenet.network.weights import save_confidence, weights_digest

    found = _fit(file, episodes, size, device)
    target = out or file
    save_confidence(file, target, found.confidence)
    if plot is not None:
        from lerenet.evaluation.reliability import plot_reliability

        plot_reliability({"held-out plates": {"mean probability": found.plain, "calibrated": found.fitted}}, plot)
    typer.echo(
        f"calibration error {_percent(found.plain.error)} -> {_percent(found.fitted.error)} "
        f"on {sum(found.fitted.n_regions)} held-out regions"
    )
    typer.echo(f"{target}: sha256 {weights_digest(target)}")


def _fit(file: Path, episodes: int, size: int, device: str) -> Calibration:
    from lerenet.inference.device import choose_device
    from lerenet.inference.segmenter import Segmenter
    from lerenet.network.weights import load_weights
    from lerenet.training.calibration import calibrate as run
    from lerenet.training.calibration import calibration_plates

    chosen = choose_device(device)
    segmenter = Segmenter(load_weights(file, chosen), chosen, precision="float32")
    with progress_bar() as bar:
        task = bar.add_task("calibrating", total=episodes)
        return run(segmenter, calibration_plates(size, 8, chosen), episodes, lambda: bar.update(task, advance=1))


def _percent(error: float | None) -> str:
    return "-" if error is None else f"{100 * error:.1f} %"
