"""Starts processes that are going to be killed, quickly: everything is imported once, and every start is a fork.

Reads a JSON object a line, `{"what": "registry" | "service", "said": FILE, ...}`, and answers with the process id of
what it started. What that process says on stdout and stderr goes into the file.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from random import Random
from typing import Any

from fakes import LevelSegmenter, engine_with
from lerenet.api import server
from lerenet.errors import LERENetError
from lerenet.settings import load_settings
from lerenet.support import ParameterChanges
from support.classes import CountingNetwork, open_registry, shots

N_WRITERS = 4


async def write_endlessly(registry: Any, writer: str, draw: Random) -> None:
    """One write after another; says `begun|done NAME VERB REVISION|-` of each."""
    names: list[str] = []
    n = 0
    while True:
        n += 1
        verb = draw.choice(["create", "create", "append", "replace", "patch", "delete"]) if names else "create"
        name = f"{writer}-{n}" if verb == "create" else draw.choice(names)
        say("begun", name, verb, "-")
        revision = "-"
        if verb == "delete":
            await registry.delete(name)
            names.remove(name)
        elif verb == "create":
            revision = revision_of(await registry.create(name, shots(n, n + 1)))
            names.append(name)
        elif verb == "append":
            revision = revision_of(await registry.append(name, shots(10_000 + n)))
        elif verb == "replace":
            revision = revision_of(await registry.put(name, shots(20_000 + n)))
        else:
            revision = revision_of(await registry.patch(name, ParameterChanges(description=str(n))))
        say("done", name, verb, revision)


def revision_of(change: Any) -> str:
    revision: str = change.registered.record.revision
    return revision


def say(*words: str) -> None:
    os.write(1, f"{' '.join(words)}\n".encode())


async def registry_under_load(root: Path, seed: int) -> None:
    registry = open_registry(root, CountingNetwork())
    writers = [write_endlessly(registry, f"s{seed}-w{i}", Random(f"{seed}-{i}")) for i in range(N_WRITERS)]
    await asyncio.gather(*writers, read_endlessly(registry))


async def read_endlessly(registry: Any) -> None:
    while True:
        try:
            await registry.resolve()
        except LERENetError:
            await asyncio.sleep(0.001)


def become(order: dict[str, Any]) -> int:
    """What a forked process does; its exit status."""
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(said, descriptor)
    if order["what"] == "registry":
        asyncio.run(registry_under_load(Path(order["data_dir"]), order["seed"]))
        return 0
    # all of the service but the network: a registration with one takes seconds, and no kill would meet a write
    return server.serve(load_settings(**order["settings"]), build=engine_with(LevelSegmenter()))


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
            continue
        pid = os.fork()
        if pid == 0:
            os._exit(become(order))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
