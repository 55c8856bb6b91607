"""The job: which files are still to do, several of them under way at a time, and what is left behind at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lerenet.client import Client
from lerenet.jobs.asked import Asked
from lerenet.jobs.coco import write_coco
from lerenet.jobs.frames import FileOutcome, FrameWriter, digest_of, outputs_of
from lerenet.jobs.record import JobRecord
from lerenet.jobs.report import write_report
from lerenet.jobs.results import write_results
from lerenet.jobs.sources import output_stems
from lerenet.jobs.totals import Totals

RECORD_FILE = "record.jsonl"


class FolderJob:
    """Segments files into a results folder and can be taken up again where it ended; a context manager.

    Args:
        client: Of the service.
        paths: The files; no two of one name.
        out: Folder of the results; made when missing.
        asked: The question.
        restart: Forget what an earlier job did in the folder.

    Raises:
        ConfigurationError: The folder holds answers to another question, or another job works in it.
        OSError: The folder cannot be read or written.
    """

    def __init__(
        self, client: Client, paths: Sequence[Path], out: Path, asked: Asked, *, restart: bool = False
    ) -> None:
        self.paths = paths
        self.out = out
        self.asked = asked
        self._url = client.url
        self._writer = FrameWriter(client, out, asked)
        out.mkdir(parents=True, exist_ok=True)
        self._record = JobRecord(out / RECORD_FILE, asked, restart=restart)
        self._stems = output_stems({*(path.name for path in paths), *self._record.files})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._record.close()

    def is_done(self, path: Path) -> bool:
        """Whether the record has this file with this content, and what was written about it is still there."""
        if path.name not in self._record or not self._record.is_settled(path.name, digest_of(path)):
            return False
        found = self._record.entry(path.name).get("found")
        return found is None or all((self.out / name).is_file() for name in outputs_of(found))

    def run(self, paths: Iterable[Path], n_under_way: int = 4) -> Iterator[FileOutcome]:
        """Segments files; each is recorded before its outcome is given.

        Args:
            paths: Those of `paths` that are not done.
            n_under_way: Requests at a time.

        Raises:
            ServiceError: The service is not there, or refuses what all files have in common.
            ConfigurationError: The service runs other weights than earlier files were segmented with.
            OSError: The disk is full or failing.
        """
        waiting, under_way = iter(paths), set[Future[FileOutcome]]()
        with ThreadPoolExecutor(n_under_way) as threads:
            try:
                while True:
                    # not all at once: a folder may hold more files than there is memory for promises
                    for path in islice(waiting, 2 * n_under_way - len(under_way)):
                        under_way.add(threads.submit(self._do, path))
                    if not under_way:
                        return
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for each in done:
                        yield each.result()
            finally:
                threads.shutdown(cancel_futures=True)

    def run_elsewhere(
        self, paths: Iterable[Path], segmented: Callable[[Iterable[tuple[Path, str]]], Iterator[dict[str, Any]]]
    ) -> Iterator[FileOutcome]:
        """As `run`, by workers of somebody else's; the record is written here all the same.

        Args:
            paths: Those of `paths` that are not done.
            segmented: Takes files with the stems of their outputs, gives their entries in any order, as
                `FrameWriter.entry` makes them.

        Raises:
            ConfigurationError: The service runs other weights than earlier files were segmented with.
            OSError: The disk is full or failing.
        """
        for entry in segmented((path, self._stems[path.name]) for path in paths):
            yield self._recorded(entry)

    def write_results(self) -> Totals:
        """Writes `results.json`, `coco.json` and `report.html` from the record: all files there are entries about."""
        totals = Totals.of(self._record, self.asked, n_to_do=sum(path.name not in self._record for path in self.paths))
        write_results(self.out / "results.json", self._record, self.asked, self._url)
        write_coco(self.out / "coco.json", self._record, self.asked, self._url)
        write_report(self.out / "report.html", self._record, self.asked, totals)
        return totals

    def _do(self, path: Path) -> FileOutcome:
        return self._recorded(self._writer.entry(path, self._stems[path.name]))

    def _recorded(self, entry: dict[str, Any]) -> FileOutcome:
        self._record.append(entry)
        return FileOutcome(entry["file"], entry.get("error"))
