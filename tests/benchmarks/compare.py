"""Serves one class by lerenet and by each peer in turn, under the same load, and prints one table of medians.

The bare network is measured before and after every window, so that servers can be compared on a machine whose speed
changes from one window to the next.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import torch

from benchmarks.core import FOLDER
from lerenet.bench.bare import BareNetwork, for_a_while
from lerenet.bench.material import SIDE_PX, as_png, draw_frames, draw_shots, write_frames
from lerenet.client import Client
from lerenet.inference.device import choose_device
from lerenet.inference.regions import MaskRule
from lerenet.inference.segmenter import Segmenter
from lerenet.network import build_lerenet
from lerenet.network.config import tiny
from lerenet.network.folding import fold
from lerenet.network.weights import load_weights, save_weights, shipped_weights
from lerenet.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ONLY_JSON = ("litserve",)
TESTS = Path(__file__).parent.parent
START_S = 180.0
YARDSTICK_S = 1.0
BATCH = 16
NAME = "frames"
COMMANDS = {
    "lerenet": ["-m", "lerenet", "serve", "--port", "{port}"],
    "litserve": ["-m", "benchmarks.litserve_server", "{port}"],
    "bentoml": ["-m", "bentoml", "serve", "benchmarks.bentoml_server:Segmentation", "-p", "{port}"],
    "ray serve": ["-m", "benchmarks.ray_server", "{port}"],
}


def prepare(folder: Path, network: str) -> BareNetwork:
    """Weights, frames, the class as its shots, and the same class as peers take it; the network with that class."""
    weights = folder / "weights.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    if network == "tiny":
        torch.manual_seed(0)
        save_weights(build_lerenet(tiny()).eval(), weights)
    else:
        weights.write_bytes(shipped_weights().read_bytes())
    segmenter = Segmenter(load_weights(weights, torch.device("cpu")), torch.device("cpu"))
    [shots] = draw_shots(1, 5)
    encoding = segmenter.encode(shots)
    found = segmenter.assess(shots, (), encoding)
    rule = MaskRule(found.threshold, 0, found.min_score, found.confidence, encoding.scale)
    (folder / "class.prototypes").write_bytes(segmenter.dump(encoding))
    (folder / "rule.json").write_text(json.dumps(asdict(rule)), encoding="utf-8")
    write_frames(draw_frames(SIDE_PX, SIDE_PX), folder / "frames")
    device = choose_device(load_settings().device)
    yardstick = load_weights(weights, device)
    fold(yardstick)
    return BareNetwork(yardstick, (encoding.encoding.to(device),), device).laid_out(torch.channels_last)


def bare_cpu_s(network: BareNetwork) -> list[float]:
    """CPU seconds a frame of the network by itself, in batches, for a second or so."""
    images = network.tensor(draw_frames(SIDE_PX, SIDE_PX, BATCH))
    return [each.cpu_s for each in for_a_while(lambda: network.spend(images, 1), YARDSTICK_S)]


@contextlib.contextmanager
def running(server: str, folder: Path) -> Iterator[tuple[str, int]]:
    """A server that answers: its URL for frames, and its process."""
    port = _free_port()
    environment = os.environ | {FOLDER: str(folder), "LERENET_WEIGHTS": str(folder / "weights.safetensors")}
    environment |= {
        "LERENET_DATA_DIR": str(folder / f"data-{os.getpid()}-{time.monotonic_ns()}"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH")))),
    }
    command = [sys.executable, *(word.format(port=port) for word in COMMANDS[server])]
    with (folder / f"{server.replace(' ', '-')}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=TESTS)
    try:
        base = f"http://127.0.0.1:{port}"
        if server == "lerenet":
            _until(lambda: httpx.get(f"{base}/readyz").is_success, process)
            [shots] = draw_shots(1, 5)
            with Client(base) as client:
                client.register(NAME, [(as_png(shot.image), as_png(shot.mask * 255)) for shot in shots])
        url = f"{base}/segment"
        _until(lambda: _post(server, url, folder).is_success, process)
        yield url, process.pid
    finally:
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        for each in family:  # some leave theirs behind
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def answered_mask(server: str, url: str, folder: Path) -> str:
    """Counts of the mask of the first frame."""
    found = _post(server, url, folder).json()
    one = found["results"][0]["classes"][0] if "results" in found else found
    counts: str = one["mask"]["counts"]
    return counts


def measure(server: str, url: str, pid: int, folder: Path, n_callers: int, seconds: float) -> dict[str, Any]:
    """Figures of a window of load from a client in a process of its own."""
    command = [sys.executable, "-m", "lerenet.bench.load", "--url", url, "--frames", str(folder / "frames")]
    command += [
        "--document" if server in ONLY_JSON else "--form",
        "images",
        "--concurrency",
        str(n_callers),
        "--seconds",
        str(seconds),
        "--pid",
        str(pid),
    ]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for figures and logs")
    parser.add_argument("--network", choices=("shipped", "tiny"), default="shipped")
    parser.add_argument("--servers", default=",".join(COMMANDS))
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = options.out.resolve()
    network = prepare(folder, options.network)
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in options.servers.split(",")}
    masks: dict[str, str] = {}
    for turn in range(options.rounds):
        for name, found in figures.items():
            with running(name, folder) as (url, pid):
                masks[name] = answered_mask(name, url, folder)
                bare = bare_cpu_s(network)
                found.append(measure(name, url, pid, folder, options.concurrency, options.seconds))
                own_s = statistics.median(bare + bare_cpu_s(network))
                found[-1]["cpu_over_bare"] = found[-1]["cpu_s_per_frame"] / own_s
                print(f"round {turn + 1}, {name}: {found[-1]['throughput']:.1f} frames/s", file=sys.stderr)
    # on CUDA the class is fitted once here and once by the service, and sums there are not repeatable to the last bit
    assert len(set(masks.values())) == 1 or torch.cuda.is_available(), f"the servers do not answer alike: {masks}"
    (folder / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    columns = {"frames/s": "throughput", "p50 ms": "p50_ms", "p99 ms": "p99_ms", "CPU ms a frame": "cpu_s_per_frame"}
    columns |= {"over bare": "cpu_over_bare"}
    print("| | " + " | ".join(columns) + " | peak RSS MiB | failed |\n|---|" + "---:|" * 7)
    for name, rounds in figures.items():
        cells = [statistics.median(each[key] for each in rounds) for key in columns.values()]
        cells[3] *= 1e3
        rss = max(each["peak_rss_bytes"] for each in rounds) / (1 << 20)
        failed = sum(n for each in rounds for status, n in each["statuses"].items() if status != "200")
        print(f"| {name} | " + " | ".join(f"{cell:.3g}" for cell in cells) + f" | {rss:.0f} | {failed} |")


def _post(server: str, url: str, folder: Path) -> httpx.Response:
    frame = min((folder / "frames").iterdir()).read_bytes()
    if server in ONLY_JSON:
        return httpx.post(url, json={"images": base64.b64encode(frame).decode()}, timeout=60)
    return httpx.post(url, files={"images": ("frame.png", frame, "image/png")}, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _until(is_so: Any, process: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if is_so():
                return
        time.sleep(0.5)
    raise SystemExit("the server did not come up: see its log in the output folder")


if __name__ == "__main__":
    main()
