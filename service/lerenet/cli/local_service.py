"""A service of one's own for a while: a child process on a free port, its registry temporary or a given one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType, TracebackType
from typing import Self

from lerenet.client import Client, ServiceProblem
from lerenet.errors import ServiceError

START_S = 180.0
STOP_S = 30.0
SERVE = (sys.executable, "-m", "lerenet", "serve")

_POLL_S = 0.2
_LAST_LINES = 3


class LocalService:
    """Runs while its context is open.

    Args:
        command: Starts a service that obeys `LERENET_HOST`, `LERENET_PORT` and `LERENET_DATA_DIR`.
        data_dir: Of its registry; None for one that goes with the service.
    """

    def __init__(self, command: Sequence[str] = SERVE, data_dir: Path | None = None) -> None:
        self._command = command
        self._data_dir = data_dir
        self.url = ""

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="lerenet-")
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._log = Path(self._folder.name) / "service.log"
        data_dir = self._data_dir or Path(self._folder.name) / "data"
        own: dict[str, object] = {
            "HOST": "127.0.0.1",
            "PORT": port,
            "DATA_DIR": data_dir,
            "ROOT_PATH": "",
            "LOG_FORMAT": "text",
        }
        if self._data_dir is None:
            own["API_KEYS_FILE"] = ""  # nothing is in it that a key would guard
            own["DATABASE_URL"] = ""  # what is tried out is no business of other replicas
        environment = os.environ | {f"LERENET_{name}": str(value) for name, value in own.items()}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        """Of the service's process."""
        return self._process.pid

    def check_alive(self) -> None:
        """Raises `ServiceError`, with the last words of the service, when it has ended."""
        status = self._process.poll()
        if status is not None:
            last = " | ".join(self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
            raise ServiceError(f"the service ended with status {status}: {last or 'it said nothing'}")


@contextmanager
def service_at(
    url: str,
    connect: Callable[[str], Client],
    tell: Callable[[str], None],
    command: Sequence[str] = SERVE,
    data_dir: Path | None = None,
) -> Iterator[Client]:
    """A client of the service at `url`, or of one that runs for as long as this context.

    Args:
        url: Where a service may answer.
        connect: Makes a client.
        tell: Takes a line for people.
        command: Starts a service.
        data_dir: Of its registry; None for a temporary one.

    Raises:
        ServiceError: The service found is in trouble, or ours does not start.
    """
    with connect(url) as client:
        if _answers(client):
            wait_until_ready(client)
            tell(f"using the service at {url}")
            yield client
            return
    tell(f"no service at {url}: starting one")
    with _termination_as_exit(), LocalService(command, data_dir) as service, connect(service.url) as client:
        wait_until_ready(client, service.check_alive)
        yield client


def wait_until_ready(
    client: Client,
    check_alive: Callable[[], None] = lambda: None,
    timeout_s: float = START_S,
    poll_s: float = _POLL_S,
) -> None:
    """Waits while the service starts and loads its weights.

    Args:
        client: Of the service.
        check_alive: Raises when waiting is vain.
        timeout_s: Longest wait, in seconds.
        poll_s: Between two looks, in seconds.

    Raises:
        ServiceError: It failed to load, or the time is up.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            client.check_ready()
            return
        except ServiceError as error:
            check_alive()
            has_failed = isinstance(error, ServiceProblem) and error.code != "loading"
            if has_failed or time.monotonic() > deadline:
                raise
        time.sleep(poll_s)


def _answers(client: Client) -> bool:
    """Whether there is a LERENet service, ready or not."""
    try:
        client.check_ready()
    except ServiceProblem as problem:
        return problem.code != "not_a_problem"
    except ServiceError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _termination_as_exit() -> Iterator[None]:
    """SIGTERM ends the block like an exception does, so that the child is stopped as well."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
