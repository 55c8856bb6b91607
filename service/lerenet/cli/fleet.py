"""`lerenet bench fleet`: what so many replicas and classes ask of one database, simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from lerenet.cli.display import print_table

app = typer.Typer(add_completion=False)


@app.command()
def fleet(
    replicas: Annotated[int, typer.Option(min=1, help="Replicas, a device each.")] = 100,
    classes: Annotated[int, typer.Option(min=1, help="Registered classes.")] = 10_000,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any number of the plan, by the name in its table; repeatable."
        ),
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure frames, encodings and sizes on this machine first.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(
            help="Measure this PostgreSQL first, ten seconds at its full load, in a table of its own that goes again."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 1,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of plan, figures and plot.")] = Path(
        "lerenet-fleet"
    ),
) -> None:
    """Simulate a fleet: how old views of the registry get, what the database bears, what a restart costs.

    Without options the plan is 100 replicas and 10,000 classes with figures measured elsewhere; the first table says
    where each comes from. Nothing is started, and no GPU is needed.
    """
    from lerenet.bench.fleet.plan import changed
    from lerenet.bench.fleet.plot import plot_courses
    from lerenet.bench.fleet.scenarios import SCENARIOS, row
    from lerenet.bench.fleet.summary import sums

    measured = (_measured() if measure else {}) | (_measured_database(database) if database else {})
    plan = changed({**measured, "n_replicas": replicas, "n_classes": classes, "seed": seed}, given or [])
    print_table(("number", "value", "unit", "source"), plan.rows())
    print_table(("follows from the plan", "", ""), sums(plan))
    courses = []
    for scenario in SCENARIOS:
        typer.echo(f"simulating: {scenario.__name__.replace('_', ' ')}", err=True)
        courses.append(scenario(plan))
    rows = [row(course) for course in courses]
    print_table(*_beside_each_other(rows))
    out.mkdir(parents=True, exist_ok=True)
    document = {"plan": [list(each) for each in plan.rows()], "sums": sums(plan), "scenarios": rows}
    (out / "fleet.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    plot_courses(plan, courses, out / "fleet.png")
    typer.echo(f"written: {out / 'fleet.json'} and {out / 'fleet.png'}")


def _beside_each_other(rows: Sequence[Mapping[str, object]]) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """Columns and rows of a table with a column for each scenario."""
    columns = ["", *(f"{each['scenario']}: {each['conditions']}" for each in rows)]
    named = [name for name in rows[0] if name not in ("scenario", "conditions")]
    return columns, [[name, *(_short(each[name]) for each in rows)] for name in named]


def _short(value: object) -> object:
    """Three digits of a fraction, which is not known better."""
    if not isinstance(value, float):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _measured() -> dict[str, Any]:
    from lerenet.bench.fleet.measure import measure_network
    from lerenet.inference.device import choose_device
    from lerenet.network.folding import fold
    from lerenet.network.weights import load_weights, shipped_weights
    from lerenet.settings import load_settings

    settings = load_settings()
    device = choose_device(settings.device)
    network = load_weights(settings.weights or shipped_weights(), device)
    fold(network)
    return measure_network(network, device)


def _measured_database(url: str) -> dict[str, Any]:
    from lerenet.bench.fleet.postgres import measure_database

    return measure_database(url)
