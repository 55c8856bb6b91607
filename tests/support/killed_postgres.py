"""killed_postgres.py URL REVISION: writes that are killed when all of each is done but the commit.

Class `a` is at REVISION. A test of the store runs this in a process of its own, which dies once for each write.
"""

from __future__ import annotations

import os
import signal
import sys
from unittest.mock import patch

from lerenet.support.postgres import Database, PostgresStore, statements
from support.classes import LIMITS, record


def write_and_die(url: str, verb: str, revision: str) -> None:
    store = PostgresStore(Database(url))

    def die(connection: object, contents: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(statements, "drop_unused_assessments", die):  # the last that a write does
        if verb == "delete":
            store.delete("a", expected=revision)
        made, added = record("b" if verb == "create" else "a", 2, 3)
        store.commit(made, added.blobs, expected=None if verb == "create" else revision, limits=LIMITS)


def main(url: str, revision: str) -> None:
    for verb in ("create", "replace", "delete"):
        child = os.fork()
        if child == 0:
            write_and_die(url, verb, revision)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(f"{verb} ended by itself")


if __name__ == "__main__":
    main(*sys.argv[1:])
