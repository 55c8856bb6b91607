"""Requests as bytes on a connection, well formed or not."""

from __future__ import annotations

from random import Random

from fuzz.inputs import BOUNDARY, form, image_file, mutated, target, text

_METHODS = ("GET", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "get", "PRI")
_TRICKS = (
    "Host: [::1", "Host: a@b:99999", "Host: \xff", "Host: a/b?c#d", "X-Forwarded-Proto: x", "X-Forwarded-For: ,",
    "X-Forwarded-Host: evil", "Expect: 100-continue", "Range: bytes=0-", "Accept: image/png",
    "Accept: ;q=nan,*/*;q=inf",
    "Accept: x", "If-Match: \"", "If-Match: W/\"a\"", "If-None-Match: *", "X-Request-ID: a\tb", "Content-Length: 5",
    "Transfer-Encoding: chunked", "Upgrade: websocket", "Connection: upgrade", "Connection: close", "Cookie: a=b",
    "Content-Type: multipart/form-data", "Content-Type: multipart/form-data; boundary=\"\"", "Content-Encoding: gzip",
    "Content-Type: multipart/form-data; boundary=fuzz; charset=punycode", "Content-Type: x" + "y" * 3_000,
    "Authorization: Bearer " + "x" * 2_000, "X" * 2_000 + ": 1", ": empty", "no colon",
)  # fmt: skip


def request(random: Random, key: str | None = None) -> bytes:
    """One request; about a third register or segment what may be an image."""
    kind = random.random()
    path, headers, method, body = target(random), ["Host: service"], random.choice(_METHODS), b""
    if key is not None:
        headers.append(f"Authorization: Bearer {key}")
    if kind < 0.2:
        method, path = "POST", "/segment"
        headers.append("Content-Type: image/png")
        body = image_file(random)
    elif kind < 0.55:
        is_registration = kind < 0.4
        method, path = ("POST", "/support") if is_registration else ("POST", "/segment")
        if is_registration and random.random() < 0.3:
            method, path = "PUT", "/support/put"
        headers.append(f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}")
        body = form(random, is_registration=is_registration)
    elif kind < 0.65:
        method, path = "PATCH", "/support/scratches"
        headers.append("Content-Type: application/json")
        fields = ("threshold", "min_area_px", "description", "min_score", "x")
        body = (
            f'{{"{random.choice(fields)}": {random.choice((text(random), "null", "1e999", "[" * 900, "1"))}}}'.encode()
        )
    if random.random() < 0.25:
        headers += random.sample(_TRICKS, 1 + random.randrange(3))
    if body and random.random() < 0.1:
        return _head(method, path, [*headers, "Transfer-Encoding: chunked"]) + _chunked(body, random)
    if body:
        headers.append(f"Content-Length: {len(body)}")
    head = _head(method, path, headers)
    return (mutated(head, random) if random.random() < 0.05 else head) + body


def _head(method: str, path: str, headers: list[str]) -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/1.1", *headers, "", "")).encode("latin-1", "replace")


def _chunked(body: bytes, random: Random) -> bytes:
    step = 1 + random.randrange(max(1, len(body)))
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    sizes = [len(each) + (random.randrange(9) if random.random() < 0.01 else 0) for each in pieces]
    return b"".join(b"%x\r\n%b\r\n" % (size, each) for size, each in zip(sizes, pieces, strict=True)) + b"0\r\n\r\n"
