"""How many statements each way to the database is, counted in the code that goes it.

A statement is a round trip: what the pool asks of a connection before it lends it, BEGIN and COMMIT count like any
other. A test counts those of a real replica (tests/bench/test_fleet_costs.py).
"""

from __future__ import annotations

CHECK = 1
"""`postgres/database.py`: the pool tries each connection that it lends."""

LOOK = 1
"""`postgres/following.py`, `Follower.catch_up`: the generation."""

NEWS = 1
"""The same, where it has moved: generation, number of classes and the rows that changed."""

ALL_POINTERS = 1
"""The same, where the number of classes says that one is gone: every name with its revision."""

ASK = CHECK + 3
"""`postgres/prototypes.py`, `_ask`: BEGIN, SET LOCAL and COMMIT around a question."""

FIND = HAS = ASK + 1
KEEP = ASK + 1
"""A commit."""

FORGET = ASK + 2
"""`DatabasePrototypes.retain` where nothing is to go: kinds that nobody uses, and contents older than an hour."""

ASSESSMENT = SAVE_ASSESSMENT = CHECK + 1
"""`postgres/store.py`, `_ask`; saving is a commit."""

BLOB = CHECK + 1
BLOBS = 6
"""Images and masks of three shots, each read by itself: `support/material.py`."""

OPEN = 4
"""A connection: its start, the answer to the server's challenge, and what is set (`_set_limits`, `_KEEPALIVES`)."""

CLAIM = RELEASE = 1
"""`DatabasePrototypes.claim` and `release`: on one connection beside the pool, open while anything is claimed."""

CURRENT = 2 * (CHECK + 1)
"""`support/writing.py`, `revise`: the record of now, and the number of classes."""

UPLOAD = CHECK + 3 + BLOBS
"""`PostgresStore.commit` before its lock: BEGIN, pointer, which blobs are there, those that are not."""

REGISTER = 18
"""The same from `statements.lock` to COMMIT: others that write wait meanwhile."""

DELETE = 14
"""`PostgresStore.delete`, likewise; before it there are `CHECK` and BEGIN."""

AFTER_WRITE = CHECK + LOOK + NEWS + CHECK + LOOK
"""`PostgresStore._write` and `support/freshness.py`, `write`: both ask for the generation."""

ALL_DIGESTS = CHECK + 1
"""`Preparation.forget_unused` after each change: the support digest of every class."""

START = 2 * OPEN + 3 * CHECK + 3 + LOOK
"""`PostgresStore`: a connection to try, one of the pool; version, old assessments, the generation."""

LISTEN = OPEN + 1 + LOOK
"""`Follower._follow`: a connection of its own."""
