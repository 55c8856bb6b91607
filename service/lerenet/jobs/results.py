"""`results.json`: what was asked, and a row for each file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lerenet import __version__
from lerenet.files import replacing
from lerenet.jobs.asked import Asked
from lerenet.jobs.record import JobRecord

_INNER = ("label", "rle")  # for the other files that the record makes


def write_results(path: Path, record: JobRecord, asked: Asked, url: str) -> None:
    """Writes the rows of all files, one at a time.

    Args:
        path: Of the file.
        record: What was done.
        asked: The question.
        url: Of the service.
    """
    question = {name: value for name, value in asked.document().items() if name != "references"}
    failures = ({name: entry[name] for name in ("file", "error")} for entry in record.entries() if "error" in entry)
    head = {"lerenet": __version__, "url": url, **question}
    write_document(path, head, {"results": map(_row, founds(record)), "failures": failures})


def founds(record: JobRecord) -> Iterator[dict[str, Any]]:
    """What was found in each file that was segmented, by name of file."""
    return (entry["found"] for entry in record.entries() if "found" in entry)


def write_document(path: Path, head: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> None:
    """Writes a JSON object whose lists are never whole in memory.

    Args:
        path: Of the file; there is the old one or the whole new one.
        head: Its first members.
        lists: Its last members, read once, in order.
    """
    with replacing(path) as file:
        lead = "{"
        for name, value in head.items():
            file.write(f"{lead}\n {json.dumps(name)}: {json.dumps(value)}".encode())
            lead = ","
        for name, rows in lists.items():
            file.write(f"{lead}\n {json.dumps(name)}: [".encode())
            lead = ","
            file.writelines(_rows(rows))
        file.write(b"\n}\n")


def _rows(rows: Iterable[Any]) -> Iterator[bytes]:
    separator = ""
    for row in rows:
        yield f"{separator}\n  {json.dumps(row)}".encode()
        separator = ","
    yield b"\n ]" if separator else b"]"


def _row(found: dict[str, Any]) -> dict[str, Any]:
    classes = [{name: value for name, value in each.items() if name not in _INNER} for each in found["classes"]]
    return {**found, "classes": classes}
