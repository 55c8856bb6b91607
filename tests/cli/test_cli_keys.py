from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run
from lerenet.access import SCOPES, KeyRing, read_keys
from lerenet.errors import Unauthorized


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "secrets" / "keys.json"
    monkeypatch.setenv("LERENET_API_KEYS_FILE", str(path))
    return path


def test_a_key_is_printed_once_alone(run: Run, file: Path) -> None:
    made = run("keys", "new", "line 3", "--scope", "segment", "--scope", "register", "--days", 90, "--per-minute", 600)

    assert made.exit_code == 0
    [secret] = made.stdout.splitlines()
    found = KeyRing(file).find(secret)
    assert (found.name, found.requests_per_minute) == ("line 3", 600)
    assert found.scopes == {"segment", "register"}
    listed = run("keys", "list").output
    assert found.prefix in listed
    assert "line 3  register, segment; 600 requests a minute; made 0 days ago; valid for 89 days" in listed
    assert secret not in listed
    assert found.sha256 not in listed


def test_a_key_segments_unless_told_otherwise(run: Run, file: Path) -> None:
    run("keys", "new")

    assert [each.scopes for each in read_keys(file)] == [{"segment"}]


def test_a_revoked_key_stays_in_the_list(run: Run, file: Path) -> None:
    secret = run("keys", "new", "old").stdout.strip()
    run("keys", "new", "other")
    prefix = read_keys(file)[0].prefix

    assert run("keys", "revoke", prefix).exit_code == 0

    first, second = run("keys", "list").output.splitlines()
    assert first.endswith("revoked")
    assert second.endswith("valid")
    with pytest.raises(Unauthorized, match="revoked"):
        KeyRing(file).find(secret)


def test_an_unknown_prefix_is_an_error(run: Run, file: Path) -> None:
    run("keys", "new")
    result = run("keys", "revoke", "lere_00000000")

    assert result.exit_code == 1
    assert "lerenet keys list" in result.stderr


def test_a_missing_file_is_an_error(run: Run, file: Path) -> None:
    result = run("keys", "list")

    assert result.exit_code == 1
    assert "lerenet keys new" in result.stderr


def test_the_file_must_be_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LERENET_API_KEYS_FILE", raising=False)

    assert run("keys", "new").exit_code == 2


def test_every_scope_can_be_given(run: Run, file: Path) -> None:
    run("keys", "new", *[word for scope in SCOPES for word in ("--scope", scope)])

    assert [each.scopes for each in read_keys(file)] == [set(SCOPES)]
