"""Two services on one database: what one is told the other knows, whoever is killed and whatever stops."""

from __future__ import annotations

import signal
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx

from api.plates import form, image_part, parts, plate_png
from databases import Server
from torture.acknowledged import ABSENT, Promises
from torture.processes import Zygote
from torture.service_cycles import Load, Service, register_anchor

DATABASE = "replicas"
WITHIN_S = 60.0
OUTAGE = {"registry_unreachable"}


@dataclass
class Told:
    """What was seen, a sentence each, and what should not have been."""

    seen: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@contextmanager
def two_replicas(zygote: Zygote, folder: Path, server: Server) -> Iterator[tuple[Service, Service]]:
    """Two services, ready, each with a data folder of its own and the same empty database."""
    url = server.make_database(DATABASE)
    replicas = []
    for name in ("a", "b"):
        own = folder / name
        own.mkdir(parents=True)
        replicas.append(Service(zygote, own, database_url=url))
    first, second = replicas
    try:
        for each in replicas:
            each.start()
            each.wait_until_ready()
        yield first, second
    finally:
        for each in replicas:
            each.end(signal.SIGTERM)


def see_at_once(a: Service, b: Service, n_rounds: int) -> Told:
    """Registers at one and segments at the other, deletes at one and asks the other."""
    told = Told()
    gone_after_ms, statuses = [], Counter[str]()
    frame = image_part(plate_png())
    with httpx.Client(base_url=a.address) as at_a, httpx.Client(base_url=b.address) as at_b:
        for i in range(n_rounds):
            name = f"seen-{i}"
            made = at_a.post("/support", **form(*parts(level=60 + i % 180), name=name))
            found = at_b.post("/segment", **form(frame, classes=name))
            statuses[f"registered at A ({made.status_code}), segmented at B ({found.status_code})"] += 1
            if (made.status_code, found.status_code) != (201, 200):
                told.wrong.append(f"{name}: {made.status_code} at A, {found.status_code} at B: {found.text}")
            deleted = at_a.delete(f"/support/{name}")
            newest = {"X-Min-Revision": deleted.headers["X-Registry-Revision"]}
            asked = at_b.get(f"/support/{name}", headers=newest).status_code
            statuses[f"deleted at A ({deleted.status_code}), asked at B ({asked})"] += 1
            if asked != 404:
                told.wrong.append(f"{name}: deleted at A, {asked} at B")
            gone_after_ms.append(_gone_after_ms(at_a, at_b, i, frame))
    told.seen += [f"{what}: {n}" for what, n in statuses.items()]
    told.seen.append(
        f"deleted at A, segmented at B without X-Min-Revision: 404 after {statistics.median(gone_after_ms):.1f} ms"
        f" (median), {max(gone_after_ms):.1f} ms at most"
    )
    return told


def _gone_after_ms(at_a: httpx.Client, at_b: httpx.Client, i: int, frame: tuple[str, tuple[str, bytes]]) -> float:
    """How long a replica that nobody hurries goes on with a class after the answer to its deletion."""
    name = f"gone-{i}"
    at_a.post("/support", **form(*parts(level=60 + i % 180), name=name))
    at_b.post("/segment", **form(frame, classes=name))
    at_a.delete(f"/support/{name}")
    deleted = time.monotonic()
    while at_b.post("/segment", **form(frame, classes=name)).status_code != 404:
        if time.monotonic() - deleted > WITHIN_S:
            break
    return 1e3 * (time.monotonic() - deleted)


def write_in_parallel(a: Service, b: Service, n_writers: int) -> Told:
    """As many writers at once, half of them at each: first of one name, on one condition, then of a name each."""
    told = Told()
    with httpx.Client(base_url=a.address) as at_a:
        revision = at_a.put("/support/contested", **form(*parts(level=100))).headers["ETag"]

    def replace(i: int) -> int:
        address = (a, b)[i % 2].address
        body = form(*parts(level=30 + i % 220, n=1 + i // 220), description=str(i))
        return httpx.put(
            f"{address}/support/contested", headers={"If-Match": revision}, timeout=WITHIN_S, **body
        ).status_code

    def create(i: int) -> int:
        body = form(*parts(level=30 + i % 220), name=f"own-{i}")
        return httpx.post(f"{(a, b)[i % 2].address}/support", timeout=WITHIN_S, **body).status_code

    with ThreadPoolExecutor(n_writers) as pool:
        started = time.monotonic()
        contested = Counter(pool.map(replace, range(n_writers)))
        told.seen.append(f"{n_writers} writers of one revision: {_counted(contested, started)}")
        started = time.monotonic()
        created = Counter(pool.map(create, range(n_writers)))
        told.seen.append(f"{n_writers} writers of a name each: {_counted(created, started)}")
    if contested != {200: 1, 412: n_writers - 1}:
        told.wrong.append(f"not one winner: {dict(contested)}")
    if created != {201: n_writers}:
        told.wrong.append(f"not all created: {dict(created)}")
    held = [{name for name in each.held() if name.startswith("own-")} for each in (a, b)]
    if [len(names) for names in held] != [n_writers, n_writers]:
        told.wrong.append(f"of {n_writers} classes A holds {len(held[0])}, B {len(held[1])}")
    return told


def kill_one(a: Service, b: Service, n_cycles: int, seed: int) -> Told:
    """Kills one at random moments while it writes; the other must hold what was acknowledged, and go on."""
    draw, told, promises = Random(seed), Told(), Promises()
    register_anchor(a, promises)
    promises.revisions |= a.held()
    n_answers = 0
    for cycle in range(n_cycles):
        dying = Load(a.address, promises)
        surviving = Load(b.address, Promises(), n_writers=0)
        dying.start(cycle)
        surviving.start(cycle)
        time.sleep(draw.uniform(0.1, 1.0))
        a.end(signal.SIGKILL)
        dying.finish()
        surviving.finish()
        told.wrong += dying.wrong + surviving.wrong
        told.wrong += [f"{each} broke at the replica that lives" for each in surviving.unanswered]
        n_answers += surviving.answers
        promises.compare(b.held())
        a.start()
        a.wait_until_ready()
        if a.held() != b.held():
            told.wrong.append(f"cycle {cycle}: A and B hold different classes")
    told.wrong += promises.lost
    told.seen.append(
        f"A killed while it writes, {n_cycles} times: {promises.n_acknowledged} writes acknowledged,"
        f" {len(promises.lost)} lost; B answered {n_answers} requests meanwhile"
    )
    return told


def restart_database(a: Service, b: Service, server: Server, n_restarts: int, down_s: float) -> Told:
    """Stops the database under load, starts it again, and waits until both take writes."""
    told, recovered_s = Told(), []
    promises = Promises()
    register_anchor(a, promises)
    promises.revisions |= a.held()
    answers, refused = 0, 0
    for cycle in range(n_restarts):
        loads = [Load(each.address, promises, allowed=OUTAGE) for each in (a, b)]
        for i, load in enumerate(loads):
            load.start(10_000 + 2 * cycle + i)
        time.sleep(1.0)
        server.stop()
        time.sleep(down_s)
        server.start()
        started = time.monotonic()
        recovered_s += [_takes_writes_after_s(each, started, promises) for each in (a, b)]
        time.sleep(1.0)
        for load in loads:
            load.finish()
            told.wrong += load.wrong + [f"{each} was not answered" for each in load.unanswered]
            answers += load.answers
            refused += load.refused
        for each in (a, b):
            if each.held() != {name: it for name, it in _compared(promises, each).items() if it != ABSENT}:
                told.wrong.append(f"restart {cycle}: {each.address} holds something else")
    told.wrong += promises.lost
    told.seen.append(
        f"database stopped for {down_s:g} s under load, {n_restarts} times: {answers} requests answered, {refused} of"
        f" them refused as they should be, {promises.n_acknowledged} writes acknowledged, {len(promises.lost)} lost;"
        f" writes taken again {statistics.median(recovered_s):.2f} s after it started (median),"
        f" {max(recovered_s):.2f} s at most"
    )
    return told


def _compared(promises: Promises, replica: Service) -> dict[str, str]:
    promises.compare(replica.held())
    return promises.revisions


def _takes_writes_after_s(replica: Service, started: float, promises: Promises) -> float:
    description = str(time.monotonic())
    while time.monotonic() - started < WITHIN_S:
        answer = httpx.patch(f"{replica.address}/support/anchor", json={"description": description}, timeout=WITHIN_S)
        if answer.is_success:
            promises.finish("anchor", answer.json()["revision"])
            return time.monotonic() - started
        time.sleep(0.02)
    raise TimeoutError(f"{replica.address} takes no writes {WITHIN_S:g} s after the database started: {answer.text}")


def _counted(statuses: Counter[int], started: float) -> str:
    counts = ", ".join(f"{n} x {status}" for status, n in sorted(statuses.items()))
    return f"{counts} in {time.monotonic() - started:.1f} s"
