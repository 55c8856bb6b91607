"""`lerenet healthcheck`: the probe of a container. It runs every few seconds, so it imports next to nothing."""

from __future__ import annotations

import json
import os
from http.client import HTTPException
from typing import Annotated
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import typer

from lerenet.errors import ServiceError

app = typer.Typer(add_completion=False)

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing listens here


@app.command()
def healthcheck(
    url: Annotated[
        str | None,
        typer.Option(help="Address of the service.", show_default="this machine, at LERENET_HOST and LERENET_PORT"),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest wait, in seconds.")] = 3.0,
) -> None:
    """Ask a service whether it answers requests: exit status 0 if it does, 1 if it does not."""
    target = f"{(url or _own_url()).rstrip('/')}/readyz"
    opener = build_opener(ProxyHandler({}))  # a proxy cannot reach this machine
    try:
        with opener.open(target, timeout=timeout):
            typer.echo("ready")
    except HTTPError as err:
        with err:
            raise ServiceError(f"{target}: {_reason(err.read())} ({err.code})") from err
    except (OSError, HTTPException, ValueError) as err:
        raise ServiceError(f"{target} does not answer: {err}") from err


def _own_url() -> str:
    host = os.environ.get("LERENET_HOST", "")
    reachable = _ANY_ADDRESS.get(host, host)
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{os.environ.get('LERENET_PORT') or 8000}"


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "not ready"
