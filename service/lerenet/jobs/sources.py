"""The files of a job, and what their outputs are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePath

from lerenet.datasets.folder import IMAGE_SUFFIXES


def find_images(path: Path) -> list[Path]:
    """The file itself, or the images directly in a folder by name."""
    return [path] if path.is_file() else sorted(each for each in path.iterdir() if _is_image(each))


def output_stems(names: Iterable[str]) -> dict[str, str]:
    """Name of each file's outputs, without suffix: its own, with the suffix kept where another could claim the rest."""
    known = [PurePath(name) for name in names]
    stems = Counter(path.stem for path in known)
    return {
        path.name: path.stem if stems[path.stem] == 1 and not _has_suffix(path.stem) else path.name for path in known
    }


def _is_image(path: Path) -> bool:
    return _has_suffix(path.name) and not path.name.startswith(".")


def _has_suffix(name: str) -> bool:
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES
