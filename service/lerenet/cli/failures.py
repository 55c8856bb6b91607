"""What a command says when it cannot go on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from lerenet.errors import DatasetError, LERENetError

EXTRAS = {
    "serve": (
        "fastapi",
        "multipart",
        "prometheus_client",
        "pydantic_settings",
        "python_multipart",
        "safetensors",
        "scipy",
        "starlette",
        "structlog",
        "torch",
        "uvicorn",
    ),
    "train": ("matplotlib",),
    "plan": ("simpy",),
    "postgres": ("alembic", "psycopg", "psycopg_pool", "sqlalchemy"),
    "ray": ("ray", "yaml"),
}
"""Modules that come with each extra."""


def one_line(error: Exception) -> str | None:
    """An error in one line for people; None when nobody foresaw it, so that its traceback is worth more."""
    if isinstance(error, LERENetError):
        return " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError):
        return _missing_extra(error)
    if isinstance(error, OSError) and error.filename is not None and error.errno != errno.EPIPE:
        return f"{error.filename}: {error.strerror}"
    return None


def _missing_extra(error: ModuleNotFoundError) -> str | None:
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return f"this command needs {module}, which is not installed: pip install 'lerenet[{extra}]'"
    return None


@contextmanager
def faults_listed() -> Iterator[None]:
    """Everything that is wrong with a data set, a line each on standard error, before the command ends."""
    try:
        yield
    except DatasetError as error:
        for fault in error.faults:
            typer.echo(f"fault: {fault}", err=True)
        if error.faults:
            raise DatasetError(f"{len(error.faults)} faults in the data set, see above; nothing was done") from error
        raise
