"""`make torture-scaleout`: replicas on two Ray nodes under load, killed, added, replaced: what is lost? Not in CI."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.util.state import list_actors

from api.plates import AREA_PX, form, image_part, parts, plate_png
from lerenet.scaleout.plan import Plan, ServeConfig
from lerenet.settings import load_settings
from scaleout.cluster import ENVIRONMENT, free_port
from scaleout.host import deploy

N_CALLERS = 4
SECONDS = 6.0


@dataclass
class Load:
    """Callers that segment and register until the block ends.

    Attributes:
        statuses: Of all answers, those of Serve's proxy included.
        lost: Ids of requests whose connection broke.
        wrong: A sentence for each answer that should not have been.
        registered: Names that were acknowledged.
    """

    url: str
    statuses: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._is_over = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Puts the service under load while the block runs."""
        threads = [threading.Thread(target=self._repeat, args=(self._segment,)) for _ in range(N_CALLERS)]
        threads.append(
            threading.Thread(target=self._repeat, args=(lambda client, n: self._register(client, f"{name}-{n}"),))
        )
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _repeat(self, request: Callable[[httpx.Client, int], None]) -> None:
        n = 0
        with httpx.Client(base_url=self.url, timeout=90, trust_env=False) as client:
            while not self._is_over.is_set():
                n += 1
                try:
                    request(client, n)
                except httpx.TransportError as error:
                    with self._lock:
                        self.lost.append(f"{type(error).__name__}: {error}")

    def _segment(self, client: httpx.Client, n: int) -> None:
        response = client.post("/segment", **form(image_part(plate_png()), classes="anchor"))
        self._note(response)
        if response.is_success:
            [found] = response.json()["results"][0]["classes"]
            if found["area_px"] != AREA_PX:
                with self._lock:
                    self.wrong.append(f"anchor has {found['area_px']} px")

    def _register(self, client: httpx.Client, name: str) -> None:
        response = client.post("/support", **form(*parts(level=60 + len(self.registered) % 100), name=name))
        self._note(response)
        if response.is_success:
            self.registered.append(name)

    def _note(self, response: httpx.Response) -> None:
        code = "" if response.is_success else f" {response.json().get('code')}"
        with self._lock:
            self.statuses[f"{response.status_code}{code}"] += 1
            if not response.is_success and response.status_code != 503:
                self.wrong.append(response.text)

    def missing(self) -> list[str]:
        """Names that were acknowledged and that some answer does not list; asked often enough to meet every replica."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False) as client:
            return [
                f"{name}: {response.status_code}"
                for name in self.registered
                for response in [client.get(f"/support/{name}")]
                if not response.is_success
            ]


def document(folder: Path, port: int, n_replicas: int, **environment: str) -> dict[str, Any]:
    """The service without a network on so many replicas, all with one data folder."""
    own = {"LERENET_DATA_DIR": str(folder / "data"), "LERENET_DEVICE": "cpu", "LERENET_THREADS": "1", **environment}
    plan = Plan(min_replicas=n_replicas, max_replicas=n_replicas)
    written = ServeConfig(plan=plan, environment=own, port=port).document(load_settings())
    written["applications"][0]["import_path"] = "scaleout.levels:application"
    return written


def replicas() -> list[tuple[int, str]]:
    """Process and node of each replica that lives."""
    actors = list_actors(filters=[("class_name", "=", "ServeReplica:lerenet:service"), ("state", "=", "ALIVE")])
    return [(each.pid, each.node_id[:6]) for each in actors]


def tell(what: str, load: Load, started: float) -> list[str]:
    faults = [*load.wrong, *load.missing()]
    print(
        f"{what}: answers {dict(sorted(load.statuses.items()))}, {len(load.registered)} classes acknowledged,"
        f" connections broken {len(load.lost)}, wrong or lost {len(faults)} ({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    return faults


def kill_one(url: str) -> list[str]:
    started, load = time.monotonic(), Load(url)
    before = replicas()
    with load.running("killed"):
        time.sleep(SECONDS)
        os.kill(before[0][0], signal.SIGKILL)
        time.sleep(SECONDS)
        until_there(len(before), without=before[0][0])
    print(
        f"replicas on nodes {sorted(node for _, node in before)},"
        f" after the kill {sorted(node for _, node in replicas())}"
    )
    return tell("replica killed (-9) under load", load, started)


def until_there(n: int, without: int = 0) -> None:
    until = time.monotonic() + 180
    while len([pid for pid, _ in replicas() if pid != without]) < n:
        if time.monotonic() > until:
            raise TimeoutError(f"{replicas()}")
        time.sleep(0.5)


def rescale(url: str, folder: Path, port: int) -> list[str]:
    deploy(document(folder, port, 1))
    started, load = time.monotonic(), Load(url)
    with load.running("rescaled"):
        deploy(document(folder, port, 3))
        until_there(3)
        time.sleep(SECONDS)
        n = len(replicas())
    return tell(f"1 -> {n} replicas while registering", load, started)


def replace(url: str, folder: Path, port: int) -> list[str]:
    deploy(document(folder, port, 2))
    started, load = time.monotonic(), Load(url)
    before = {pid for pid, _ in replicas()}
    with load.running("replaced"):
        deploy(document(folder, port, 2, LERENET_LOG_LEVEL="warning"))
        time.sleep(SECONDS)
    after = {pid for pid, _ in replicas()}
    return [
        *tell("all replicas replaced, one by one, by a new config file", load, started),
        *(["not replaced"] if before & after else []),
    ]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.parse_args()
    os.environ.update(ENVIRONMENT)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "object_store_memory": 80 << 20})
    cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    faults: list[str] = []
    try:
        with TemporaryDirectory(prefix="lerenet-scaleout-") as name:
            folder, port = Path(name), free_port()
            url = f"http://127.0.0.1:{port}"
            deploy(document(folder, port, 2))
            httpx.put(f"{url}/support/anchor", **form(*parts(level=200)), timeout=60).raise_for_status()
            faults += kill_one(url)
            faults += rescale(url, folder, port)
            faults += replace(url, folder, port)
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
    for fault in faults:
        print(f"fault: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
