"""What Ray Serve adds to a request: one service, one client, next to no network, straight and through Serve."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.compare import NAME, prepare
from lerenet.bench.material import as_png, draw_shots
from lerenet.cli.local_service import LocalService, wait_until_ready
from lerenet.client import Client
from lerenet.scaleout.plan import Plan, ServeConfig
from lerenet.settings import load_settings
from scaleout.cluster import Cluster


@contextmanager
def straight(settings: dict[str, str]) -> Iterator[str]:
    os.environ.update(settings)
    with LocalService() as service:
        yield service.url


@contextmanager
def through_serve(settings: dict[str, str]) -> Iterator[str]:
    with Cluster() as cluster:
        config = ServeConfig(plan=Plan(), environment=settings, port=cluster.port)
        cluster.deploy(config.document(load_settings()))
        yield f"http://127.0.0.1:{cluster.port}"


def measured(url: str, frames: Path, n_callers: int, seconds: float) -> dict[str, float]:
    """Figures of one window, from a client in a process of its own."""
    command = [sys.executable, "-m", "lerenet.bench.load", "--url", f"{url}/segment?classes={NAME}"]
    command += ["--frames", str(frames), "--concurrency", str(n_callers), "--seconds", str(seconds)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and frames")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = options.out.resolve()
    prepare(folder, "tiny")
    settings = {"LERENET_WEIGHTS": str(folder / "weights.safetensors"), "LERENET_DEVICE": "cpu", "LERENET_THREADS": "1"}
    print("| | callers | p50 ms | p99 ms | frames/s |\n|---|---:|---:|---:|---:|")
    served = settings | {"LERENET_DATA_DIR": str(folder / "data")}
    with straight(settings) as one, through_serve(served) as other:  # in turns: the machine is never the same for long
        urls = {"straight": one, "through Ray Serve": other}
        for url in urls.values():
            with Client(url) as client:
                wait_until_ready(client)
                [shots] = draw_shots(1, 5)
                client.register(NAME, [(as_png(shot.image), as_png(shot.mask * 255)) for shot in shots])
        for n_callers in (1, 8):
            rounds = [
                {name: measured(url, folder / "frames", n_callers, options.seconds) for name, url in urls.items()}
                for _ in range(options.rounds)
            ]
            for name in urls:
                cells = [
                    statistics.median(each[name][key] for each in rounds) for key in ("p50_ms", "p99_ms", "throughput")
                ]
                print(f"| {name} | {n_callers} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


if __name__ == "__main__":
    main()
