"""Cycles of the whole service: under load over HTTP, killed or told to stop at a random moment, started again."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx

from api.plates import form, image_part, parts, plate_png
from torture.acknowledged import ABSENT, Promises
from torture.processes import Zygote

N_WRITERS = 2
N_SEGMENTERS = 3
WITHIN_S = 90.0
LONGEST_LIFE_S = 2.0
REFUSALS = {"draining", "queue_full", "loading"}


@dataclass
class Load:
    """Callers that write and segment until they are told to stop, or nobody answers.

    Attributes:
        promises: What was acknowledged.
        n_writers: Callers that write.
        allowed: Codes of refusals that are no fault, beside those of a service that is full or ends.
        answers: Number of answers.
        refused: How many of them were such refusals.
        wrong: A sentence for each answer that should not have been.
        unanswered: Ids of requests whose connection broke.
    """

    address: str
    promises: Promises
    n_writers: int = N_WRITERS
    allowed: Collection[str] = ()
    answers: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def start(self, seed: int) -> None:
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        loads = [(self._write, i) for i in range(self.n_writers)] + [(self._segment, i) for i in range(N_SEGMENTERS)]
        self._threads = [threading.Thread(target=load, args=(f"s{seed}-w{i}", seed)) for load, i in loads]
        for thread in self._threads:
            thread.start()
        until, n_before = time.monotonic() + WITHIN_S, self.promises.n_acknowledged
        # a writer must have been heard, too: a kill before the first write proves nothing
        while self._is_silent(n_before) and time.monotonic() < until:
            time.sleep(0.005)

    def _is_silent(self, n_before: int) -> bool:
        return self.answers == 0 or (self.n_writers > 0 and self.promises.n_acknowledged == n_before)

    def finish(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: str, seed: int) -> None:
        draw = Random(f"{seed}-{writer}")
        names: list[str] = []

        def write(client: httpx.Client, n: int) -> None:
            verb = draw.choice(["create", "replace", "delete"]) if len(names) > 1 else "create"
            name = f"{writer}-{n}" if verb == "create" else draw.choice(names)
            files = parts(level=60 + draw.randrange(190))
            with self._lock:
                self.promises.begin(name, verb)
            if verb == "delete":
                response = self._ask(client, "DELETE", f"/support/{name}")
            else:
                response = self._ask(client, "PUT", f"/support/{name}", **form(*files))
            if response.is_success:
                revision = ABSENT if verb == "delete" else response.json()["revision"]
                names.append(name) if verb == "create" else None
                names.remove(name) if verb == "delete" else None
                with self._lock:
                    self.promises.finish(name, revision)
            elif verb == "delete":  # refused, and perhaps done all the same: nobody asks for it again
                names.remove(name)

        self._repeat(write)

    def _segment(self, caller: str, seed: int) -> None:
        files = form(image_part(plate_png()), classes="anchor")
        self._repeat(lambda client, n: self._ask(client, "POST", "/segment", **files))

    def _repeat(self, request: Callable[[httpx.Client, int], object]) -> None:
        n = 0
        with httpx.Client(base_url=self.address, timeout=60, verify=False) as client:  # quick to make, and http
            while not self._is_over.is_set():
                n += 1
                try:
                    request(client, n)
                except httpx.TransportError:
                    return

    def _ask(self, client: httpx.Client, method: str, path: str, **body: object) -> httpx.Response:
        request_id = uuid4().hex
        try:
            response = client.request(method, path, headers={"X-Request-ID": request_id}, **body)  # type: ignore[arg-type]
        except httpx.TransportError:
            with self._lock:
                self.unanswered.append(request_id)
            raise
        with self._lock:
            self.answers += 1
            if response.is_success:
                return response
            if any(code in response.text for code in (*REFUSALS, *self.allowed)):
                self.refused += 1
            else:
                self.wrong.append(f"{method} {path}: {response.status_code} {response.text}")
        return response


class Service:
    """One service on one data folder, started again and again; `settings` come on top of those of every start."""

    def __init__(self, zygote: Zygote, folder: Path, **settings: Any) -> None:
        self._settings = settings
        self._zygote = zygote
        self._folder = folder
        self._n_starts = 0
        self.address = ""

    def start(self) -> None:
        self._n_starts += 1
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {
            "port": port,
            "data_dir": str(self._folder / "data"),
            "device": "cpu",
            "threads": 1,
            **self._settings,
        }
        self.log = self._folder / f"service-{self._n_starts}.log"
        self.pid = self._zygote.start(what="service", settings=settings, said=str(self.log))
        self.address = f"http://127.0.0.1:{port}"

    def wait_until_ready(self) -> None:
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.address}/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise TimeoutError(f"the service did not become ready: {self.log.read_text()[-2000:]}")

    def end(self, number: signal.Signals) -> int:
        return self._zygote.end(self.pid, number)

    def held(self) -> dict[str, str]:
        """Revision by name, as the service lists it."""
        found: dict[str, str] = {}
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": "100", **({"cursor": cursor} if cursor else {})}
            page = httpx.get(f"{self.address}/support", params=query).json()
            found |= {each["name"]: each["revision"] for each in page["classes"]}
            cursor = page["next"]
        return found

    def logged_ids(self) -> set[str]:
        """Ids of the requests that reached the application."""
        lines = self.log.read_text().splitlines()
        events = (json.loads(line) for line in lines if line.startswith("{"))
        return {event["request_id"] for event in events if event.get("event") == "request"}


def register_anchor(service: Service, promises: Promises) -> None:
    """The class that the load asks for."""
    response = httpx.put(f"{service.address}/support/anchor", **form(*parts(level=200)), timeout=60)
    promises.finish("anchor", response.json()["revision"])


def torture_service(service: Service, n_cycles: int, seed: int) -> tuple[Promises, list[str]]:
    """Promises after `n_cycles` lives that end by kill -9, and answers that should not have been."""
    draw = Random(seed)
    promises = Promises()
    wrong: list[str] = []
    service.start()
    service.wait_until_ready()
    register_anchor(service, promises)
    for cycle in range(n_cycles):
        load = Load(service.address, promises)
        load.start(cycle)
        time.sleep(draw.uniform(0.0, LONGEST_LIFE_S))
        service.end(signal.SIGKILL)
        load.finish()
        wrong += load.wrong
        service.start()
        if draw.random() < 0.2:  # and again, while it starts
            time.sleep(draw.uniform(0.0, 1.0))
            service.end(signal.SIGKILL)
            service.start()
        service.wait_until_ready()
        promises.compare(service.held())
    service.end(signal.SIGTERM)
    return promises, wrong


@dataclass
class Restarts:
    """What came of restarts by SIGTERM under load."""

    n_restarts: int = 0
    n_answers: int = 0
    failed: list[str] = field(default_factory=list)


def restart_under_load(service: Service, n_restarts: int, seed: int) -> Restarts:
    """SIGTERM at random moments; a request is accepted once it has reached the application."""
    draw = Random(seed)
    promises, outcome = Promises(), Restarts()
    service.start()
    service.wait_until_ready()
    register_anchor(service, promises)
    for cycle in range(n_restarts):
        load = Load(service.address, promises)
        load.start(1_000 + cycle)
        time.sleep(draw.uniform(0.3, 1.5))
        status = service.end(signal.SIGTERM)
        load.finish()
        accepted = service.logged_ids()
        outcome.n_restarts += 1
        outcome.n_answers += load.answers
        outcome.failed += load.wrong
        outcome.failed += [f"{each} was accepted and not answered" for each in load.unanswered if each in accepted]
        if status not in (0, -signal.SIGTERM):
            outcome.failed.append(f"restart {cycle}: exit status {status}: {service.log.read_text()[-500:]}")
        service.start()
        service.wait_until_ready()
        promises.compare(service.held())
    outcome.failed += promises.lost
    service.end(signal.SIGTERM)
    return outcome
