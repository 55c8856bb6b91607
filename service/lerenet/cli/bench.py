"""`lerenet bench`: the service under load on this machine, against the bare network in the same run."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lerenet.cli.display import print_table
from lerenet.cli.local_service import LocalService, wait_until_ready
from lerenet.cli.options import open_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from lerenet.bench.report import ScenarioResult
    from lerenet.network import LERENet

app = typer.Typer(add_completion=False)

_QUICK_S, _QUICK_ROUNDS = 2.0, 1
_START_POLL_S = 0.02


@app.command()
def bench(
    context: typer.Context,
    scenarios: Annotated[
        list[str] | None,
        typer.Argument(
            help="throughput, latency, shots, classes, large, overload, start, endurance (20 minutes).",
            show_default="all but endurance",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of one window of load.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Windows of service and bare network, in turns.")] = 3,
    tune: Annotated[
        bool, typer.Option("--tune", help="Instead: which threads and precision are fastest here, without a service.")
    ] = False,
    quick: Annotated[bool, typer.Option(help="A single window of 2 seconds each: a first look.")] = False,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of figures and frames.")] = Path("lerenet-bench"),
) -> None:
    """Start a service, put it under load, and hold it against the network by itself.

    The service runs with the settings of the environment, on a free port and with a data folder that goes with it; the
    load comes from a process of its own. The exit status is 1 when a bound is missed.
    """
    from lerenet.cli.spinning import spin_briefly

    spin_briefly()
    import torch

    from lerenet.bench.scenarios import SCENARIOS, UNASKED
    from lerenet.bench.service import Bench
    from lerenet.inference.device import choose_device
    from lerenet.network.folding import fold
    from lerenet.network.weights import load_weights, shipped_weights
    from lerenet.runtime.cpus import available_cpus
    from lerenet.runtime.host_memory import keep_freed_memory
    from lerenet.settings import load_settings

    unknown = [name for name in scenarios or () if name not in SCENARIOS]
    if unknown:
        raise typer.BadParameter(f"there is no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    settings = load_settings()
    torch.set_num_threads(settings.threads or available_cpus())
    device = choose_device(settings.device)
    weights = settings.weights or shipped_weights()
    network = load_weights(weights, device)
    fold(network)
    keep_freed_memory()
    if tune:
        _tune(network, device, _QUICK_S if quick else seconds)
        return
    out.mkdir(parents=True, exist_ok=True)
    results: list[ScenarioResult] = []
    with LocalService() as service, open_client(context, service.url) as client:
        wait_until_ready(client, service.check_alive)
        measured = Bench(
            url=service.url,
            pid=service.pid,
            client=client,
            network=network,
            device=device,
            weights=weights,
            folder=out,
            start_s=lambda: _start_s(context),
            seconds=_QUICK_S if quick else seconds,
            n_rounds=_QUICK_ROUNDS if quick else rounds,
        )
        for name in scenarios or UNASKED:
            results.append(SCENARIOS[name](measured))
            _show(results[-1])
    _write(results, out)
    if not all(verdict.holds for result in results for verdict in result.verdicts):
        raise typer.Exit(1)


def _start_s(context: typer.Context) -> float:
    started_s = time.monotonic()
    with LocalService() as service, open_client(context, service.url) as client:
        wait_until_ready(client, service.check_alive, poll_s=_START_POLL_S)
        return time.monotonic() - started_s


def _tune(network: LERENet, device: torch.device, seconds: float) -> None:
    from lerenet.bench.bare import BareNetwork
    from lerenet.bench.material import draw_shots
    from lerenet.bench.tune import recommend, try_settings
    from lerenet.runtime.cpus import available_cpus

    bare = BareNetwork.prepared(network, draw_shots(1, 1), device)
    trials = list(try_settings(bare, available_cpus(), seconds))
    print_table([field.name.replace("_", " ") for field in fields(trials[0])], [astuple(trial) for trial in trials])
    settings = " ".join(f"{name}={value}" for name, value in recommend(trials).items())
    typer.echo(f"set {settings}" if settings else "the defaults are as good as anything that was tried")


def _show(result: ScenarioResult) -> None:
    typer.echo(result.scenario)
    print_table(tuple(result.rows[0]), [list(row.values()) for row in result.rows])
    if result.verdicts:
        print_table(("", "measured", "asked", ""), [verdict.row() for verdict in result.verdicts])


def _write(results: Sequence[ScenarioResult], out: Path) -> None:
    machine = {"processor": platform.processor() or platform.machine(), "system": platform.platform()}
    document = {"machine": machine, "scenarios": [asdict(result) for result in results]}
    (out / "bench.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
