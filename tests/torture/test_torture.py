"""A few cycles of `make torture`, and the process's own end when only a restart helps."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.plates import form, image_part, parts, plate_png
from api.test_server import WITHIN_S, wait_until_ready
from lerenet.api.server import EXIT_DEVICE_LOST
from lerenet.support import verify_store
from torture.acknowledged import Promises
from torture.processes import Zygote
from torture.registry_cycles import torture_registry
from torture.service_cycles import Service, restart_under_load, torture_service


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote() as running:
        yield running


def test_killed_registry_loses_nothing_acknowledged(zygote: Zygote, tmp_path: Path) -> None:
    promises = torture_registry(zygote, tmp_path, n_cycles=4, seed=3)
    assert promises.lost == []


def test_killed_service_loses_nothing_acknowledged(zygote: Zygote, tmp_path: Path) -> None:
    promises, wrong = torture_service(Service(zygote, tmp_path), n_cycles=1, seed=1)
    assert (promises.lost, wrong) == ([], [])
    assert promises.n_acknowledged > 1
    assert verify_store(tmp_path / "data").problems == ()


def test_stopped_service_fails_no_accepted_request(zygote: Zygote, tmp_path: Path) -> None:
    outcome = restart_under_load(Service(zygote, tmp_path), n_restarts=2, seed=1)
    assert outcome.failed == []
    assert outcome.n_answers > 0


def test_comparison_finds_what_is_lost() -> None:
    promises = Promises()
    promises.hear(["done a create 1\n", "done b create 2\n", "done c create 3\n", "begun c replace -\n", "done d cre"])
    promises.compare({"b": "9", "c": "4"})
    assert sorted(promises.lost) == ["a: 1 was acknowledged, - is there", "b: 2 was acknowledged, 9 is there"]


FAULTY = """
import sys, time
import lerenet.api.server as server
from fakes import LevelSegmenter, engine_with
from lerenet.settings import load_settings

class Faulty(LevelSegmenter):
    n_runs = 0
    def run(self, jobs):
        Faulty.n_runs += 1
        if Faulty.n_runs > 1:  # the first is the trial before anybody is let in
            {fault}
        return super().run(jobs)

sys.exit(server.serve(load_settings(), build=engine_with(Faulty())))
"""
FAULTS = {
    "hangs": "time.sleep(600)",
    "is lost": "raise RuntimeError('CUDA error: an illegal memory access was encountered')",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_process_ends_with_a_message_when_its_device(fault: str, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fields = {"PORT": port, "DATA_DIR": tmp_path / "data", "STALL_S": 0.5, "DEVICE": "cpu", "THREADS": 1}
    environment = {
        **os.environ,
        **{f"LERENET_{name}": str(value) for name, value in fields.items()},
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }
    command = [sys.executable, "-c", FAULTY.format(fault=FAULTS[fault])]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until_ready(address)
            assert httpx.put(f"{address}/support/a", **form(*parts())).status_code == 201
            answers: list[httpx.Response] = []

            def ask() -> None:
                answers.append(httpx.post(f"{address}/segment", **form(image_part(plate_png())), timeout=WITHIN_S))

            callers = [threading.Thread(target=ask) for _ in range(3)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            probes = [httpx.get(f"{address}{path}").status_code for path in ("/readyz", "/livez")]
            began = time.monotonic()
            _, logs = process.communicate(timeout=WITHIN_S)
            took_s = time.monotonic() - began
        finally:
            process.kill()
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "device_failed")] * 3
    assert probes == [503, 503]
    assert process.returncode == EXIT_DEVICE_LOST
    assert took_s < 30
    assert any("only a restart helps" in json.loads(line)["event"] for line in logs.splitlines() if line[:1] == "{")
