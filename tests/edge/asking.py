"""What these tests ask of a service."""

from __future__ import annotations

import httpx
import numpy as np

from edge.service import WITHIN_S
from lerenet.imaging import encode_bilevel_png, encode_image_png


def plate() -> bytes:
    image = np.full((40, 40), 60, np.uint8)
    image[10:20, 10:20] = 200
    return encode_image_png(image)


def register(url: str) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[10:20, 10:20] = 1
    files = {"images": ("a.png", plate()), "masks": ("a.mask.png", encode_bilevel_png(mask))}
    answer = httpx.put(f"{url}/support/bright", files=files, timeout=WITHIN_S, verify=False)
    assert answer.status_code in (200, 201)


def segment(url: str) -> httpx.Response:
    headers = {"Content-Type": "image/png"}
    return httpx.post(f"{url}/segment", content=plate(), headers=headers, timeout=WITHIN_S, verify=False)
