"""Callers of a service behind proxies: what they asked, what they got, what of it should not have been."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from api.plates import AREA_PX, form, image_part, parts, plate_png

N_CALLERS = 4
N_LOOKS = 4
"""Times that each class is looked for, each time over a new connection: one of the proxies gets it."""


@dataclass
class Load:
    """Callers that segment, and one that registers, until the block ends.

    Attributes:
        n_callers: Who segment.
        statuses: Of all answers, with the code of a problem.
        lost: Sentences of requests whose connection broke.
        wrong: A sentence for each answer that should not have been.
        registered: Names that were acknowledged.
    """

    url: str
    n_callers: int = N_CALLERS
    statuses: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    registered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = time.monotonic()
        self._is_over = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Puts the service under load while the block runs.

        Args:
            name: Begins the names of the classes.
        """
        requests = [self._segment] * self.n_callers + [lambda client, n: self._register(client, f"{name}-{n}")]
        threads = [threading.Thread(target=self._repeat, args=(request,)) for request in requests]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _repeat(self, request: Callable[[httpx.Client, int], None]) -> None:
        n = 0
        with client_of(self.url) as client:
            while not self._is_over.is_set():
                n += 1
                try:
                    request(client, n)
                except httpx.TransportError as error:
                    with self._lock:
                        self.lost.append(f"{type(error).__name__}: {error}")

    def _segment(self, client: httpx.Client, n: int) -> None:
        response = client.post("/segment", **form(image_part(plate_png()), classes="anchor"))
        self._note(response)
        if response.is_success:
            [found] = response.json()["results"][0]["classes"]
            if found["area_px"] != AREA_PX:
                with self._lock:
                    self.wrong.append(f"anchor has {found['area_px']} px")

    def _register(self, client: httpx.Client, name: str) -> None:
        response = client.post("/support", **form(*parts(level=60 + len(self.registered) % 100), name=name))
        self._note(response)
        if response.is_success:
            self.registered.append(name)

    def _note(self, response: httpx.Response) -> None:
        code = "" if response.is_success else f" {response.json().get('code')}"
        with self._lock:
            self.statuses[f"{response.status_code}{code}"] += 1
            if not response.is_success and response.status_code != 503:
                self.wrong.append(response.text)

    def told(self, what: str) -> list[str]:
        """Prints what was seen; the faults, a sentence each."""
        faults = [*self.wrong, *missing(self.url, self.registered)]
        print(
            f"{what}: answers {dict(sorted(self.statuses.items()))}, {len(self.registered)} classes acknowledged,"
            f" connections broken {len(self.lost)}, wrong or lost {len(faults)}"
            f" ({time.monotonic() - self._started:.0f} s)",
            flush=True,
        )
        return faults


def missing(url: str, names: list[str]) -> list[str]:
    """Classes that some answer does not know."""
    with client_of(url, "close") as client:
        looks = [(name, client.get(f"/support/{name}")) for name in names for _ in range(N_LOOKS)]
    return [f"{name}: {response.status_code} {response.text}" for name, response in looks if not response.is_success]


def client_of(url: str, connection: str = "keep-alive") -> httpx.Client:
    """A client; with `close` each of its requests takes a new connection."""
    return httpx.Client(base_url=url, timeout=90, trust_env=False, headers={"Connection": connection})
