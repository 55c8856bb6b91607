"""Two replicas on one database, each with its client on a CPU of its own, against one replica with its client on one.

PYTHONPATH=tests .venv/bin/python -m benchmarks.replicas
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from api.test_server import wait_until_ready
from databases import Server
from lerenet.bench.material import SIDE_PX, as_png, draw_frames, draw_shots, write_frames
from lerenet.client import Client

NAME = "bench"
N_CALLERS = 4


@contextmanager
def replica(cpu: int, folder: Path, url: str, port: int) -> Iterator[str]:
    """A service on one CPU; its address, once it is ready."""
    fields = {"DATABASE_URL": url, "DATA_DIR": folder, "PORT": port, "DEVICE": "cpu", "THREADS": 1}
    environment = {**os.environ, **{f"LERENET_{name}": str(value) for name, value in fields.items()}}
    command = [*on(cpu), sys.executable, "-m", "lerenet", "serve"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_ready(address)
            yield address
        finally:
            process.terminate()


def on(cpu: int) -> list[str]:
    """The start of a command whose threads all stay on one CPU (util-linux)."""
    return ["taskset", "--cpu-list", str(cpu)]


def frames_per_s(addresses: Sequence[str], cpus: Sequence[int], frames: Path, seconds: float) -> float:
    """Of all replicas together, each asked by a client on its own CPU."""
    loads = []
    for address, cpu in zip(addresses, cpus, strict=True):
        command = [*on(cpu), sys.executable, "-m", "lerenet.bench.load", "--url", f"{address}/segment?classes={NAME}"]
        command += ["--frames", str(frames), "--pid", str(os.getpid()), "--seconds", str(seconds)]
        command += ["--concurrency", str(N_CALLERS)]
        loads.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    return sum(float(json.loads(load.communicate()[0])["throughput"]) for load in loads)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=15.0, help="length of a window")
    arguments.add_argument("--rounds", type=int, default=3, help="windows of one and of two replicas, in turns")
    arguments.add_argument("--port", type=int, default=8310, help="first of two ports")
    wanted = arguments.parse_args()
    cpus = sorted(os.sched_getaffinity(0))[:2]
    server = Server("replicas")
    with TemporaryDirectory(prefix="lerenet-replicas-") as name, ExitStack() as running:
        running.callback(server.remove)
        url = server.make_database("replicas")
        folder = Path(name)
        addresses = [
            running.enter_context(replica(cpu, folder / str(cpu), url, wanted.port + i)) for i, cpu in enumerate(cpus)
        ]
        [shots] = draw_shots(1, 5)
        pairs = [(as_png(shot.image), as_png(shot.mask * 255)) for shot in shots]
        with Client(addresses[0]) as client:
            client.register(NAME, pairs)
        frames = write_frames(draw_frames(SIDE_PX, SIDE_PX), folder / "frames")
        ratios = []
        for _ in range(wanted.rounds):
            one = frames_per_s(addresses[:1], cpus[:1], frames, wanted.seconds)
            two = frames_per_s(addresses, cpus, frames, wanted.seconds)
            ratios.append(two / one)
            print(
                f"one replica on one CPU {one:.1f} frames/s, two on two {two:.1f}, ratio {ratios[-1]:.2f}", flush=True
            )
    print(f"median ratio {statistics.median(ratios):.2f} (1.8 asked)")


if __name__ == "__main__":
    main()
