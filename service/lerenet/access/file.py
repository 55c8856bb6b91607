"""The file of keys: JSON that is whole or absent, readable by its owner alone. It holds no secret."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from lerenet.access.keys import KeyRecord
from lerenet.errors import ConfigurationError
from lerenet.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    import fcntl

OWNER_ONLY = 0o600

Keys = tuple[KeyRecord, ...]


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: Keys


def read_keys(path: Path) -> Keys:
    """The keys of a file, oldest first.

    Raises:
        ConfigurationError: It is missing, cannot be read, or holds something else.
    """
    try:
        content = _Content.model_validate_json(path.read_bytes())
    except FileNotFoundError as err:
        raise ConfigurationError(f"there is no key file {path}: `lerenet keys new` makes one") from err
    except OSError as err:
        raise ConfigurationError(f"the key file {path} cannot be read: {err.strerror}") from err
    except ValidationError as err:
        fault = err.errors(include_url=False, include_input=False)[0]
        place = "/".join(map(str, fault["loc"])) or "its content"
        raise ConfigurationError(f"the key file {path} is damaged at {place}: {fault['msg']}") from err
    if len({each.prefix for each in content.keys}) < len(content.keys):
        raise ConfigurationError(f"the key file {path} is damaged: two keys have one prefix")
    return content.keys


def start_key_file(path: Path) -> None:
    """Makes a file without keys where there is none, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        if not path.exists():
            _write(path, ())


def change_keys(path: Path, change: Callable[[Keys], Sequence[KeyRecord]]) -> None:
    """Puts changed keys in the place of a file's keys; of several commands at once, one after another.

    Raises:
        ConfigurationError: The file is missing or damaged.
        OSError: It cannot be written; then it is as before.
    """
    with _alone(path.parent):
        _write(path, tuple(change(read_keys(path))))


def _write(path: Path, keys: Keys) -> None:
    path = path.resolve()  # of a link, what it leads to
    text = _Content(keys=keys).model_dump_json(indent=2) + "\n"
    unfinished = path.parent / f".{path.name}.{uuid4().hex}"
    with replacing(path, unfinished, mode=OWNER_ONLY) as file:
        file.write(text.encode())
        _leave_to_its_owner(path, unfinished)


def _leave_to_its_owner(path: Path, unfinished: Path) -> None:
    """Of a file that root changes, the service's user must stay the owner: it could not read it otherwise."""
    with suppress(FileNotFoundError, PermissionError):
        owner = path.stat()
        os.chown(unfinished, owner.st_uid, owner.st_gid)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder against other commands; its lock goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
