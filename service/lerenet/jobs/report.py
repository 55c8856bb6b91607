"""`report.html`: one page without anything from outside, the frames with the most marked area first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import nsmallest
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lerenet import __version__
from lerenet.files import replacing
from lerenet.imaging import class_colour
from lerenet.jobs.asked import Asked
from lerenet.jobs.record import JobRecord
from lerenet.jobs.results import founds
from lerenet.jobs.totals import ClassTotal, Totals

MAX_FRAMES = 1_000
"""Frames that are shown: what a browser opens and a person looks at. `results.json` has them all."""

_N_DIGEST_SHOWN = 12


def write_report(path: Path, record: JobRecord, asked: Asked, totals: Totals) -> None:
    """Writes the page.

    Args:
        path: Of the file; thumbnails and overlays lie where the record says, beside it.
        record: What was done.
        asked: The question.
        totals: Of the record.
    """
    with replacing(path) as file:
        for piece in _page(record, asked, totals):
            file.write(piece.encode("utf-8", "replace") + b"\n")  # a file name may hold what is no text


def _page(record: JobRecord, asked: Asked, totals: Totals) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(_title(totals))}</title>\n<style>"
    yield files("lerenet.jobs").joinpath("report.css").read_text(encoding="utf-8")
    yield "</style>\n</head>\n<body>\n<main>"
    yield from _head(asked, totals)
    yield from _classes(asked, totals)
    if totals.n_failed:
        yield from _failures(record)
    yield from _frames(record, asked, totals)
    yield "</main>\n</body>\n</html>"


def _title(totals: Totals) -> str:
    return f"{_counted(totals.n_segmented, 'frame')} segmented"


def _head(asked: Asked, totals: Totals) -> Iterator[str]:
    now = datetime.now(UTC)
    threshold = "each class's own" if asked.threshold is None else f"{asked.threshold:g}"
    least = "each class's own" if asked.min_area_px is None else f"{asked.min_area_px} px"
    weights = "unknown" if totals.weights is None else f"{totals.weights:.{_N_DIGEST_SHOWN}}"
    yield f"<header>\n<h1>{escape(_title(totals))}</h1>"
    if totals.n_failed:
        yield f'<p class="alarm">{_counted(totals.n_failed, "file")} passed over, listed below.</p>'
    if totals.n_to_do:
        todo = _counted(totals.n_to_do, "file")
        yield f'<p class="alarm">Not complete: {todo} still to do. The same command goes on where it ended.</p>'
    if asked.metadata:
        said = ", ".join(f"{name} {value}" for name, value in asked.metadata.items())
        yield f'<p class="faint">{escape(said)}.</p>'
    yield f'<p class="faint">Threshold: {threshold}. Least area: {least}. Weights <code>{escape(weights)}</code>.'
    yield f'lerenet {__version__}, <time datetime="{now:%FT%TZ}">{now:%F %H:%M} UTC</time>.</p>\n</header>'


def _classes(asked: Asked, totals: Totals) -> Iterator[str]:
    yield '<section>\n<h2>Classes</h2>\n<div class="wide"><table>\n<thead><tr><th scope="col">class</th>'
    yield '<th scope="col">revision</th>'
    for column in ("frames with it", "regions", "marked, px", "best score"):
        yield f'<th scope="col" class="number">{column}</th>'
    yield "</tr></thead>\n<tbody>"
    for index, (reference, total) in enumerate(zip(asked.references, totals.classes, strict=True), start=1):
        yield _class_row(index, reference.partition("@")[2], total)
    yield "</tbody>\n</table></div>\n</section>"


def _class_row(index: int, revision: str, total: ClassTotal) -> str:
    score = "–" if total.best_score is None else f"{total.best_score:.2f}"
    numbers = (f"{total.n_images:,}", f"{total.n_regions:,}", f"{total.area_px:,}", score)
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    name = f"{_swatch(index)}{escape(total.label)}"
    return f'<tr><th scope="row">{name}</th><td><code>{escape(revision)}</code></td>{cells}</tr>'


def _failures(record: JobRecord) -> Iterator[str]:
    yield '<section>\n<h2>Passed over</h2>\n<div class="wide"><table>\n<thead><tr><th scope="col">file</th>'
    yield '<th scope="col">why</th></tr></thead>\n<tbody>'
    for entry in (entry for entry in record.entries() if "error" in entry):
        yield f'<tr><th scope="row">{escape(entry["file"])}</th><td>{escape(entry["error"])}</td></tr>'
    yield "</tbody>\n</table></div>\n</section>"


def _frames(record: JobRecord, asked: Asked, totals: Totals) -> Iterator[str]:
    swatches = {label: _swatch(index) for index, label in enumerate(asked.labels.values(), start=1)}
    shown = nsmallest(MAX_FRAMES, ((-_area_px(found), found["file"]) for found in founds(record)))
    yield '<section>\n<h2>Frames, most marked area first</h2>\n<ul class="frames">'
    for _, file in shown:
        yield _frame(record.entry(file)["found"], swatches)
    yield "</ul>"
    if totals.n_segmented > len(shown):
        yield f"<p>{totals.n_segmented - len(shown):,} more, with less marked or nothing, are in results.json.</p>"
    yield "</section>"


def _frame(found: dict[str, Any], swatches: dict[str, str]) -> str:
    name = escape(found["file"])
    marked = [each for each in found["classes"] if each["area_px"]]
    items = "".join(f"<li>{swatches[each['label']]}{escape(_words(each))}</li>" for each in marked)
    told = f"<ul>{items}</ul>" if marked else "<small>nothing marked</small>"
    image = f'<img decoding="async" src="{_address(found["thumbnail"])}" alt="{name} with what is marked in it">'
    size = f"<small>{found['width']} × {found['height']} px</small>"
    return (
        f'<li><figure><a href="{_address(found["overlay"])}">{image}</a>'
        f"<figcaption><strong>{name}</strong>{size}{told}</figcaption></figure></li>"
    )


def _words(each: dict[str, Any]) -> str:
    return f"{each['label']}: {each['area_px']:,} px ({each['area_fraction']:.2%}), score {each['score']:.2f}"


def _area_px(found: dict[str, Any]) -> int:
    return sum(each["area_px"] for each in found["classes"])


def _address(path: str) -> str:
    return quote(os.fsencode(path))


def _swatch(index: int) -> str:
    return f'<span class="swatch" style="background:#{class_colour(index).hex()}"></span>'


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
