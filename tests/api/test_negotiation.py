from __future__ import annotations

import pytest

from lerenet.api.negotiation import JSON, PNG, is_known, preferred_type, strong_tag
from lerenet.errors import MalformedRequest

BOTH = (JSON, PNG)


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("image/png", PNG),
        ("IMAGE/PNG", PNG),
        ("image/*", PNG),
        ("image/png, application/json", JSON),
        ("application/json;q=0.5, image/png", PNG),
        ("application/json;q=0.5, image/png; q=0.9", PNG),
        ("*/*, application/json;q=0", PNG),
        ("*/*;q=0.1, image/png;q=0.2", PNG),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/html", None),
        ("image/png;q=0", None),
        ("image/png;q=high", None),
        ("nonsense", None),
    ],
)
def test_the_type_liked_best_is_preferred(accept: str | None, preferred: str | None) -> None:
    assert preferred_type(accept, BOTH) == preferred


def test_a_type_that_is_not_offered_is_not_preferred() -> None:
    assert preferred_type("image/png", (JSON,)) is None


@pytest.mark.parametrize(("value", "tag"), [(None, None), ("*", "*"), ('"abc"', "abc"), (' "abc" ', "abc"), ('""', "")])
def test_a_strong_tag_is_read_without_its_quotes(value: str | None, tag: str | None) -> None:
    assert strong_tag(value, "If-Match") == tag


@pytest.mark.parametrize("value", ["abc", '"abc', 'W/"abc"', '"a", "b"', '"', ""])
def test_another_tag_is_refused(value: str) -> None:
    with pytest.raises(MalformedRequest, match="If-Match"):
        strong_tag(value, "If-Match")


@pytest.mark.parametrize(
    ("value", "known"),
    [(None, False), ("*", True), ('"abc"', True), ('W/"abc"', True), ('"x", "abc"', True), ('"abcd"', False)],
)
def test_a_reader_who_has_the_revision_is_recognised(value: str | None, known: bool) -> None:
    assert is_known(value, "abc") is known
