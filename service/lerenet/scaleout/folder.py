"""The folder job over many hosts: Ray Data hands files to workers that ask a service; the record stays where it is."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.data

from lerenet.client import Client
from lerenet.errors import ConfigurationError, LERENetError, ServiceError
from lerenet.jobs.frames import FrameWriter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lerenet.jobs import Asked

FILES_AT_A_TIME = 4
"""Under way in one worker. As many come back together: what a kill costs, for each worker."""


@dataclass(frozen=True)
class Errand:
    """What every worker is told.

    Attributes:
        url: Of the service, as workers reach it.
        api_key: For it.
        out: Folder of the results, on storage that every host has at this path.
        asked: The question.
    """

    url: str
    api_key: str | None = field(repr=False)
    out: Path
    asked: Asked


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to a cluster while the block runs.

    Args:
        address: `auto` for the one of this host, or HOST:PORT.

    Raises:
        ConfigurationError: There is none.
    """
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
    except (ConnectionError, ValueError, RuntimeError) as err:
        raise ConfigurationError(f"no Ray cluster at {address!r} ({err}): is `ray start` running there?") from err
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # else its plans stand in the job's own progress
    try:
        yield
    finally:
        ray.shutdown()


def segmented(items: Iterable[tuple[Path, str]], errand: Errand, n_under_way: int) -> Iterator[dict[str, Any]]:
    """Entries for the record, as they come back.

    Args:
        items: Files with the stems of their outputs; each file on storage that every host has at its path.
        errand: For the workers.
        n_under_way: Files at a time, over all workers.

    Raises:
        ServiceError: The service is not there, or refuses what all files have in common.
        OSError: The disk is full or failing.
    """
    rows = [{"path": str(path.absolute()), "stem": stem} for path, stem in items]
    if not rows:
        return
    n_parts, n_workers = (math.ceil(n / FILES_AT_A_TIME) for n in (len(rows), n_under_way))
    workers = ray.data.ActorPoolStrategy(min_size=1, max_size=n_workers)
    found = ray.data.from_items(rows, override_num_blocks=n_parts).map_batches(
        FrameWorker, batch_size=FILES_AT_A_TIME, compute=workers, fn_constructor_args=(errand,)
    )
    for row in found.iter_rows():
        yield _entry_in(json.loads(row["outcome"]))


def _entry_in(outcome: dict[str, Any]) -> dict[str, Any]:
    match outcome:
        case {"entry": dict(entry)}:
            return entry
        case {"disk": [int(number), str(reason), file]}:
            raise OSError(number, reason, file)
        case {"service": str(detail)}:
            raise ServiceError(detail)
    raise AssertionError(f"no outcome of a worker: {outcome}")


class FrameWorker:
    """Segments files on some host, a few at a time.

    Args:
        errand: What to do with each.
    """

    def __init__(self, errand: Errand) -> None:
        client = Client(errand.url, api_key=errand.api_key)
        self._writer = FrameWriter(client, errand.out, errand.asked)

    def __call__(self, batch: dict[str, NDArray[np.object_]]) -> dict[str, list[str]]:
        """Rows with `path` and `stem` become rows with `outcome`, as JSON: the entry, or what ends the job."""
        with ThreadPoolExecutor(FILES_AT_A_TIME) as threads:
            outcomes = threads.map(self._outcome, batch["path"], batch["stem"])
            return {"outcome": [json.dumps(outcome) for outcome in outcomes]}

    def _outcome(self, path: str, stem: str) -> dict[str, Any]:
        try:
            return {"entry": self._writer.entry(Path(path), stem)}
        except LERENetError as error:
            return {"service": str(error)}
        except OSError as error:
            return {"disk": [error.errno or 0, error.strerror or str(error), error.filename]}
