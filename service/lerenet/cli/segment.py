"""`lerenet segment`: a file or a folder through a running service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lerenet.cli.display import print_table, progress_bar
from lerenet.cli.options import DEFAULT_URL, MinArea, Threshold, Url, open_client

if TYPE_CHECKING:
    from lerenet.cli.segment_run import SegmentRun

app = typer.Typer(add_completion=False)


@app.command()
def segment(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(exists=True, help="An image, or a folder of images.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="NAME or NAME@REVISION to find; repeat it for more.", show_default="all"),
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the results.")] = Path("lerenet-results"),
    threshold: Threshold = None,
    min_area: MinArea = None,
    is_12_bit: Annotated[
        bool, typer.Option("--12-bit", help="16-bit grey files hold 12 bits, as many cameras write them.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Images under way at a time.")] = 4,
    url: Url = DEFAULT_URL,
) -> None:
    """Find registered defects. Writes masks/CLASS/*.png, overlays/*.png and results.json into the results folder.

    A file that cannot be segmented is reported and passed over; the exit status is 1 then.
    """
    from lerenet.cli.segment_run import SegmentRun, find_images

    paths = find_images(path)
    if not paths:
        raise typer.BadParameter(f"{path} holds no JPEG, PNG, BMP or TIFF")
    out.mkdir(parents=True, exist_ok=True)
    bits: Literal[12, 16] = 12 if is_12_bit else 16
    with open_client(context, url) as client:
        run = SegmentRun(client, paths, out, classes=classes, threshold=threshold, min_area_px=min_area, bits=bits)
        try:
            _work_through(run, jobs)
        finally:
            run.write_report()
    _print_summary(run)
    if run.failures:
        raise typer.Exit(1)


def _work_through(run: SegmentRun, jobs: int) -> None:
    with progress_bar() as bar, ThreadPoolExecutor(jobs) as threads:
        for report in bar.track(threads.map(run.segment, run.paths), total=len(run.paths), description="segmenting"):
            run.reports.append(report)
            if report.error is not None:
                bar.console.print(f"{report.file}: {report.error}", markup=False, highlight=False, soft_wrap=True)


def _print_summary(run: SegmentRun) -> None:
    print_table(("class", "images with it", "regions", "marked, px"), run.totals())
    n_failed = len(run.failures)
    typer.echo(
        f"{len(run.reports) - n_failed} images segmented{f', {n_failed} failed' if n_failed else ''}; see {run.out}"
    )
