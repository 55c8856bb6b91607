"""HTTP/1.1 byte by byte: what a client library would hide."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        headers: By their names in lower case.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def request(method: str, path: str, headers: Mapping[str, object], body: bytes | None = None) -> bytes:
    """A request."""
    given = {"Host": "127.0.0.1", **({} if body is None else {"Content-Length": len(body)}), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


class Answers:
    """Reads answers off a connection, one after another.

    Args:
        connection: To the service.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = b""

    def next(self, *, has_body: bool = True) -> Answer:
        """The next answer; `has_body` is false for an answer to HEAD."""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0")) if has_body else 0
        while len(self._read) < length:
            self._more()
        body, self._read = self._read[:length], self._read[length:]
        return Answer(int(status.split()[1]), headers, body)

    def _more(self) -> None:
        got = self._connection.recv(1 << 16)
        assert got, f"closed after {self._read!r}"
        self._read += got
