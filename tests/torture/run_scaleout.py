"""`make torture-scaleout`: replicas on two Ray nodes and one PostgreSQL, killed, added, replaced. Not in CI."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.util.state import list_actors

from api.plates import AREA_PX, form, image_part, parts, plate_png
from databases import Server, make_registry_database
from lerenet.scaleout.plan import Plan, ServeConfig
from lerenet.settings import load_settings
from scaleout.cluster import ENVIRONMENT, free_port, node_of
from scaleout.host import deploy
from torture.replica_load import Load, client_of

SECONDS = 6.0
WITHIN_S = 300.0
TAKES_S = 0.3
"""A batch on each fake device, so that a kill meets requests under way."""

N_SHARED = 10
FOLDER_OF_NODE = "LERENET_TORTURE_FOLDER"
DELAYS_S = {"upscale_delay_s": 1.0, "downscale_delay_s": 4.0, "look_back_period_s": 2.0, "metrics_interval_s": 0.5}


@dataclass(frozen=True)
class Service:
    """What is deployed: fake devices, a data folder for each node, one database."""

    port: int
    database_url: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def deploy(self, n: int, most: int | None = None, on_a_node: int = 2, **environment: str) -> None:
        """Deploys so many replicas, or as many as load asks for up to `most`, and waits until they run."""
        own = {
            "LERENET_DATA_DIR": f"${{{FOLDER_OF_NODE}}}",
            "LERENET_DATABASE_URL": self.database_url,
            "LERENET_DEVICE": "cpu",
            "LERENET_THREADS": "1",
            "LERENET_STALL_S": "120",  # two cores
            **environment,
        }
        config = ServeConfig(plan=Plan(min_replicas=n, max_replicas=most or n), environment=own, port=self.port)
        document = config.document(load_settings())
        [application] = document["applications"]
        application |= {"import_path": "scaleout.levels:application", "args": {"takes_s": TAKES_S}}
        [deployment] = application["deployments"]
        deployment["max_replicas_per_node"] = on_a_node
        deployment["autoscaling_config"] |= {"target_ongoing_requests": 1, **DELAYS_S}
        deploy(document)


def replicas() -> dict[int, str]:
    """Node of each replica that lives, by its process."""
    actors = list_actors(filters=[("class_name", "=", "ServeReplica:lerenet:service"), ("state", "=", "ALIVE")])
    return {each.pid: each.node_id[:6] for each in actors}


def until_there(n: int, without: int = 0) -> None:
    """Waits until so many replicas live."""
    until = time.monotonic() + WITHIN_S
    while len(replicas().keys() - {without}) != n:
        if time.monotonic() > until:
            raise TimeoutError(f"not {n} replicas: {replicas()}")
        time.sleep(0.5)


def share(service: Service) -> list[str]:
    """Whichever replica registers a class, whichever is asked next finds it."""
    faults = []
    with client_of(service.url, "close") as client:
        for i in range(N_SHARED):
            name = f"shared-{i}"
            client.put(f"/support/{name}", **form(*parts())).raise_for_status()
            for _ in range(4):
                found = client.post("/segment", **form(image_part(plate_png()), classes=name))
                if not found.is_success or found.json()["results"][0]["classes"][0]["area_px"] != AREA_PX:
                    faults.append(f"{name}: {found.status_code} {found.text}")
        text = client.get("/metrics").text
    shares = [share_of(text, route) for route in ("/support/{name}", "/segment")]
    print(
        f"{N_SHARED} classes registered, each segmented at once: registrations by replica {shares[0]}, segmentations"
        f" {shares[1]}, wrong {len(faults)}; nodes {sorted(replicas().values())}",
        flush=True,
    )
    return faults + [f"one replica did it all: {shares}" for _ in [0] if min(map(len, shares)) < 2]


def share_of(text: str, route: str) -> dict[str, int]:
    """Requests of a route by replica."""
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("lerenet_requests_total{") and f'route="{route}"' in line:
            [replica] = re.findall(r'replica="(\w+)"', line)
            counts[replica] += int(float(line.rsplit(" ", 1)[1]))
    return dict(counts)


def kill_one(service: Service) -> list[str]:
    load, before = Load(service.url), replicas()
    victim = min(before)
    with load.running("killed"):
        time.sleep(SECONDS)
        os.kill(victim, signal.SIGKILL)
        until_there(len(before), without=victim)
        time.sleep(SECONDS)
    print(f"replicas on nodes {sorted(before.values())}, after the kill on {sorted(replicas().values())}")
    return load.told("replica killed (-9) under load")


def add(service: Service) -> list[str]:
    service.deploy(1)
    load = Load(service.url)
    with load.running("added"):
        service.deploy(3)
        until_there(3)
        time.sleep(SECONDS)
    return load.told("1 -> 3 replicas while registering")


def replace(service: Service) -> list[str]:
    load, before = Load(service.url), replicas()
    with load.running("replaced"):
        service.deploy(3, LERENET_LOG_LEVEL="warning")
        time.sleep(SECONDS)
    kept = before.keys() & replicas().keys()
    return [
        *load.told("all replicas replaced, one by one, by a new config file"),
        *(f"not replaced: {p}" for p in kept),
    ]


def follow_load(service: Service) -> list[str]:
    """Replicas come with the load and go with it."""
    service.deploy(1, most=3)
    until_there(1)
    load, started = Load(service.url, n_callers=8), time.monotonic()
    with load.running("followed"):
        until_there(3)
        added = time.monotonic() - started
        time.sleep(SECONDS)
    over = time.monotonic()
    until_there(1)
    print(f"1 -> 3 replicas {added:.0f} s after 9 callers came, 3 -> 1 {time.monotonic() - over:.0f} s after they went")
    return load.told("replicas added and taken away by load")


@contextmanager
def two_nodes(folder: Path) -> Iterator[None]:
    """A cluster of two nodes, each with a folder of its own."""
    nodes = [node_of(num_cpus=2) | {"env_vars": {FOLDER_OF_NODE: str(folder / name)}} for name in ("a", "b")]
    cluster = Cluster(initialize_head=True, head_node_args=nodes[0])
    try:
        cluster.add_node(**nodes[1])
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield
        serve.shutdown()
    finally:
        ray.shutdown()
        cluster.shutdown()


@contextmanager
def database() -> Iterator[str]:
    """Address of an empty registry's database on a server of its own."""
    server = Server(f"torture-scaleout-{os.getpid()}")
    try:
        yield make_registry_database(server, "registry")
    finally:
        server.remove()


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    os.environ.update(ENVIRONMENT)
    faults: list[str] = []
    with TemporaryDirectory(prefix="lerenet-scaleout-") as name, database() as url, two_nodes(Path(name)):
        service = Service(free_port(), url)
        service.deploy(2, on_a_node=1)
        with client_of(service.url) as client:
            client.put("/support/anchor", **form(*parts())).raise_for_status()
        for torment in (share, kill_one, add, replace, follow_load):
            faults += torment(service)
    for fault in faults:
        print(f"fault: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
