"""Which body a caller wants: `Accept` by RFC 9110, and entity tags in preconditions."""

from __future__ import annotations

from collections.abc import Sequence

from lerenet.errors import MalformedRequest

JSON = "application/json"
PNG = "image/png"


def preferred_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """The media type a caller likes best.

    Args:
        accept: Value of the header; None or empty accepts anything.
        offered: Types there are, the default first.

    Returns:
        One of `offered`, the earlier one among equals; None when all are refused.
    """
    if not accept or not accept.strip():
        return offered[0]
    ranges = [_parsed(each) for each in accept.split(",") if each.strip()]
    liked = {media_type: _quality(media_type, ranges) for media_type in offered}
    best = max(offered, key=lambda media_type: liked[media_type])
    return best if liked[best] > 0 else None


def strong_tag(value: str | None, header: str) -> str | None:
    """The revision in an `If-Match` or `If-None-Match` that guards a write; None when the header is absent.

    Raises:
        MalformedRequest: Neither `*` nor one quoted revision.
    """
    if value is None or value.strip() == "*":
        return None if value is None else "*"
    tag = value.strip()
    if len(tag) < 2 or not (tag[0] == tag[-1] == '"') or '"' in tag[1:-1]:
        raise MalformedRequest(
            f'{header}: {tag[:80]} is neither * nor one strong entity tag such as "0123456789abcdef"'
        )
    return tag[1:-1]


def is_known(if_none_match: str | None, revision: str) -> bool:
    """Whether a reader's `If-None-Match` says that it has this revision."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or f'"{revision}"' in tags


def _parsed(media_range: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in media_range.split(";"))
    quality = next((value for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "q"), "1")
    try:
        return media_type, min(1.0, max(0.0, float(quality)))
    except ValueError:
        return media_type, 0.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Quality by the most specific range that covers the type; 0 when none does."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        found = [quality for each, quality in ranges if each == pattern]
        if found:
            return max(found)
    return 0.0
