"""`lerenet segment`: a file or a folder through a service, in as many starts as it takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lerenet.cli.display import print_table, progress_bar
from lerenet.cli.options import DEFAULT_URL, MinArea, Threshold, Url, open_client

if TYPE_CHECKING:
    from lerenet.client import Client
    from lerenet.jobs import FileOutcome, FolderJob
    from lerenet.jobs.totals import Totals

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
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE for the log and the results: station, part, timestamp or a name of your own; repeat it.",
            show_default="none",
        ),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Do again what the results folder has already.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Images under way at a time.")] = 4,
    url: Url = DEFAULT_URL,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Let a Ray cluster do the work: `auto`, or HOST:PORT. Its hosts must have image folder and results"
            " folder at the same paths, and reach --url.",
            show_default="none",
        ),
    ] = None,
) -> None:
    """Find registered defects. Writes masks, overlays, report.html, coco.json and results.json into the results folder.

    Stopped half way, the same command goes on where it ended. A file that cannot be segmented is reported and passed
    over; the exit status is 1 then. Where nobody answers at the default address, a service on the classes in
    LERENET_DATA_DIR runs for as long as it takes.
    """
    from lerenet.jobs import Asked, FolderJob, find_images

    paths = find_images(path)
    if not paths:
        raise typer.BadParameter(f"{path} holds no JPEG, PNG, BMP or TIFF")
    bits: Literal[12, 16] = 12 if is_12_bit else 16
    has_own = ray is None and url == DEFAULT_URL  # whoever names a service wants that one
    with _service(context, url, has_own=has_own) as client, _workers(ray) as over_ray:
        asked = Asked.of(
            client, classes, threshold=threshold, min_area_px=min_area, bits=bits, metadata=_pairs(metadata or [])
        )
        with FolderJob(client, paths, out, asked, restart=restart) as job:
            run = partial(job.run, n_under_way=jobs) if over_ray is None else partial(over_ray, job, client.url, jobs)
            totals = _worked_through(job, run)
    _print_summary(totals, out)
    if totals.n_failed:
        raise typer.Exit(1)


def _pairs(metadata: list[str]) -> dict[str, str]:
    for pair in metadata:
        if "=" not in pair:
            raise typer.BadParameter(f"{pair!r} is no NAME=VALUE", param_hint="--metadata")
    return dict(pair.split("=", 1) for pair in metadata)


@contextmanager
def _workers(address: str | None) -> Iterator[Callable[..., Iterator[FileOutcome]] | None]:
    """What runs a job on a Ray cluster; None without one."""
    if address is None:
        yield None
        return
    from lerenet.scaleout.folder import Errand, connected, segmented

    def run(job: FolderJob, url: str, n_under_way: int, paths: Sequence[Path]) -> Iterator[FileOutcome]:
        errand = Errand(url, os.environ.get("LERENET_API_KEY") or None, job.out.absolute(), job.asked)
        return job.run_elsewhere(paths, partial(segmented, errand=errand, n_under_way=n_under_way))

    with connected(address):
        yield run


@contextmanager
def _service(context: typer.Context, url: str, *, has_own: bool) -> Iterator[Client]:
    """The service at an address; at the default one, where nobody answers, one on the classes of this machine."""
    from lerenet.cli.local_service import service_at

    connect = partial(open_client, context)
    data_dir = Path(os.environ.get("LERENET_DATA_DIR") or "data")
    say = partial(typer.echo, err=True)
    with service_at(url, connect, say, data_dir=data_dir) if has_own and data_dir.is_dir() else connect(url) as client:
        yield client


def _worked_through(job: FolderJob, run: Callable[[Sequence[Path]], Iterator[FileOutcome]]) -> Totals:
    is_whole = False
    try:
        with progress_bar() as bar:
            pending = [
                path for path in bar.track(job.paths, description="looking for what is done") if not job.is_done(path)
            ]
            n_done = len(job.paths) - len(pending)
            if n_done:
                bar.console.print(f"{n_done} of {len(job.paths)} files are done already: skipped", highlight=False)
            task = bar.add_task("segmenting", total=len(job.paths), completed=n_done)
            for outcome in run(pending):
                bar.advance(task)
                if outcome.error is not None:
                    line = f"{outcome.file}: {outcome.error}"
                    bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        is_whole = True
    finally:
        totals = job.write_results()
        if not is_whole:
            typer.echo(f"stopped with {totals.n_to_do} files to do: the same command goes on there", err=True)
    return totals


def _print_summary(totals: Totals, out: Path) -> None:
    rows = [(each.label, each.n_images, each.n_regions, each.area_px) for each in totals.classes]
    print_table(("class", "images with it", "regions", "marked, px"), rows)
    failed = f", {totals.n_failed} failed" if totals.n_failed else ""
    typer.echo(f"{totals.n_segmented} images segmented{failed}; see {out / 'report.html'}")
