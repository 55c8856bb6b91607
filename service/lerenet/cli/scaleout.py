"""`lerenet scaleout`: the Ray Serve config file of the service, and a run of it on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

_DATABASE_URL = "LERENET_DATABASE_URL"
_FILE = Path("lerenet-serve.yaml")

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="PostgreSQL that replicas share classes through, written into the file as it is: ${NAME} stands for"
        " what a node has under that name.",
        show_default=f"${{{_DATABASE_URL}}} where that is set here, else none",
    ),
]


@app.command()
def scaleout(
    min_replicas: Annotated[int, typer.Option(min=1, help="Replicas that are always there.")] = 1,
    max_replicas: Annotated[
        int | None, typer.Option(min=1, help="Replicas at the most; load decides.", show_default="as --min-replicas")
    ] = None,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs of each replica: 1, a part such as 0.5, or 0 for the CPU.")
    ] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="CPUs of each replica.")] = 2,
    surge: Annotated[
        int,
        typer.Option(
            min=0, max=100, help="Replicas above their number while all are replaced, in percent: they need room."
        ),
    ] = 0,
    host: Annotated[str, typer.Option(help="Address that each node listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port there.")] = 8000,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file, at the same path on each node.", show_default="the shipped one")
    ] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of the registry and its prototypes on each node.")] = Path(
        "data"
    ),
    database_url: DatabaseUrl = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE for another setting LERENET_NAME; repeat it.", show_default="none"),
    ] = None,
    out: Annotated[Path, typer.Option(dir_okay=False, help="The file.")] = _FILE,
    is_run: Annotated[
        bool,
        typer.Option(
            "--run", help="Run it until SIGINT: on RAY_ADDRESS, else on this host's Ray, else on one of its own."
        ),
    ] = False,
) -> None:
    """Write the config file that `serve deploy` or `serve run` takes: replicas of the service on a Ray cluster.

    Weights, data folder and whatever else is set reach the replicas as variables LERENET_*.
    """
    from lerenet.scaleout.plan import Plan, ServeConfig
    from lerenet.scaleout.writing import write_config
    from lerenet.settings import PREFIX, load_settings

    most = max(min_replicas, max_replicas or min_replicas)
    plan = Plan(min_replicas=min_replicas, max_replicas=most, gpus=gpus, cpus=cpus, surge_percent=surge)
    named = _named(settings or [])
    environment = _device(gpus, cpus) | _places(data_dir, weights, database_url)
    environment |= {f"{PREFIX}{name.upper()}": value for name, value in named.items()}
    config = ServeConfig(plan=plan, environment=environment, host=host, port=port)
    write_config(out, config, load_settings(**named))
    typer.echo(f"{out} written: serve deploy {out}", err=True)
    if most > 1 and _DATABASE_URL not in environment:
        typer.echo("without a database, replicas share classes on one host alone: keep them there", err=True)
    if is_run:
        _run(out)


def _device(gpus: float, cpus: int) -> dict[str, str]:
    from lerenet.cli.spinning import SPIN_COUNT

    if gpus:
        return {"LERENET_DEVICE": "cuda"}
    return {"LERENET_DEVICE": "cpu", "LERENET_THREADS": str(cpus), "GOMP_SPINCOUNT": str(SPIN_COUNT)}


def _places(data_dir: Path, weights: Path | None, database_url: str | None) -> dict[str, str]:
    """Where a replica finds its registry and its weights."""
    if database_url is None and os.environ.get(_DATABASE_URL):
        database_url = f"${{{_DATABASE_URL}}}"  # never what it holds
    return {
        "LERENET_DATA_DIR": str(data_dir.absolute()),
        **({} if weights is None else {"LERENET_WEIGHTS": str(weights.absolute())}),
        **({} if database_url is None else {_DATABASE_URL: database_url}),
    }


def _named(settings: list[str]) -> dict[str, str]:
    """Settings by field."""
    from lerenet.scaleout.plan import WITHOUT_EFFECT
    from lerenet.settings import PREFIX, Settings

    named = {}
    for pair in settings:
        name, separator, value = pair.partition("=")
        name = name.upper().removeprefix(PREFIX).lower()
        if not separator or name not in Settings.model_fields:
            raise typer.BadParameter(f"{pair!r} is no NAME=VALUE of a setting", param_hint="--set")
        if name in WITHOUT_EFFECT:
            raise typer.BadParameter(
                f"{pair!r} has no effect on Ray Serve ({WITHOUT_EFFECT[name]}): leave it out", param_hint="--set"
            )
        named[name] = value
    return named


def _run(config: Path) -> None:
    """Becomes Ray's own `serve run`."""
    import ray  # noqa: F401  # says at once where it is missing

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.execv(sys.executable, [sys.executable, "-m", "ray.serve.scripts", "run", str(config)])  # noqa: S606
