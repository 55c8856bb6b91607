"""A Ray cluster in a process of its own; see `host`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

TESTS = Path(__file__).parents[1]
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",  # two busy cores
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_raylet_start_wait_time_s": "120",
    "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "service")]),
}
END_S = 60.0
AGENT_PORTS = ("dashboard_agent_listen_port", "metrics_agent_port", "metrics_export_port", "runtime_env_agent_port")


class Cluster:
    """Runs while its context is open.

    Attributes:
        address: For who joins.
        port: That its proxy keeps from the first deployment on.
    """

    def __init__(self) -> None:
        self.address = ""
        self.port = free_port()
        self._deployed: Mapping[str, Any] | None = None

    def __enter__(self) -> Self:
        self._said = TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scaleout.host"],
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        try:
            self.address = self._heard()["address"]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=END_S)
        self._said.close()

    def deploy(self, document: Mapping[str, Any]) -> None:
        """Deploys a Serve config file's content unless it is there already, and waits until all of it runs."""
        if document == self._deployed:
            return
        self._deployed = None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(document)}\n")
        self._process.stdin.flush()
        assert self._heard() == {"running": True}
        self._deployed = document

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise AssertionError(f"the cluster has ended: {self._said.read().decode(errors='replace')[-4000:]}")
        heard: dict[str, Any] = json.loads(line)
        return heard


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def node_of(num_cpus: int) -> dict[str, Any]:
    """Arguments of a node: its logical CPUs, little memory, and its agents' ports.

    Where agents choose ports, a node waits 15 s for them to say so and dies: not enough on a busy machine.
    """
    ports = {name: free_port() for name in AGENT_PORTS}
    return {"num_cpus": num_cpus, "object_store_memory": 80 << 20, **ports}
