"""What these tests ask of a service."""

from __future__ import annotations

import httpx

from api.plates import PNG_HEADERS, form, parts, plate_png
from edge.service import WITHIN_S


def register(url: str) -> None:
    answer = httpx.put(f"{url}/support/bright", **form(*parts()), timeout=WITHIN_S, verify=False)
    assert answer.status_code in (200, 201)


def segment(url: str) -> httpx.Response:
    return httpx.post(f"{url}/segment", content=plate_png(), headers=PNG_HEADERS, timeout=WITHIN_S, verify=False)
