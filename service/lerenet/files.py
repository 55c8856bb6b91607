"""Files that are whole or absent, also after a kill: written under another name, synced, renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PUBLIC = 0o666
"""Mode of a new file before the process's mask."""


@contextmanager
def replacing(path: Path, unfinished: Path | None = None, *, mode: int = PUBLIC) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` when the block ends well, and leaves nothing when it does not.

    Args:
        path: Where the file goes; its folder exists.
        unfinished: What it is called until then, on the same file system. None: one fixed name beside `path`, so that
            the next attempt takes over what a kill has left.
        mode: Of the file, before the process's mask.

    Raises:
        OSError: The disk is full, read-only or failing.
    """
    unfinished = unfinished or path.with_name(f"{path.name}.part")
    try:
        with open(unfinished, "wb", opener=_with(mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _with(mode: int) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags, mode)
