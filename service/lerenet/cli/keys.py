"""`lerenet keys`: API keys of a service, in the file that `LERENET_API_KEYS_FILE` names."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from lerenet.access import KeyRecord

app = typer.Typer(add_completion=False)


class ScopeName(StrEnum):
    """What a key may do, as an option takes it."""

    SEGMENT = "segment"
    REGISTER = "register"
    ADMIN = "admin"


File = Annotated[
    Path,
    typer.Option("--file", envvar="LERENET_API_KEYS_FILE", help="The key file.", dir_okay=False, show_default=False),
]


@app.callback()
def keys() -> None:
    """Make, list and revoke API keys. A running service follows within a second."""


@app.command()
def new(
    file: File,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="What the key is for.")] = "",
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(
            help="`segment` frames, `register` and change classes, or all (`admin`); repeatable.",
            show_default="segment",
        ),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it expires.", show_default="never")] = None,
    max_classes: Annotated[
        int | None, typer.Option(min=1, help="Classes made with it at a time.", show_default="any number")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Requests a minute, and at once.", show_default="any number")
    ] = None,
) -> None:
    """Make a key. It is printed once, alone on standard output; only its hash is kept."""
    from datetime import timedelta

    from lerenet.access import change_keys, issue_key, start_key_file

    issued = issue_key(
        name,
        [each.value for each in scope or [ScopeName.SEGMENT]],
        valid_for=None if days is None else timedelta(days=days),
        max_classes=max_classes,
        requests_per_minute=per_minute,
    )
    start_key_file(file)
    change_keys(file, lambda kept: [*kept, issued.record])
    typer.echo(f"{_described(issued.record)}; this is all you will ever see of the key:", err=True)
    typer.echo(issued.secret)


@app.command("list")
def list_keys(file: File) -> None:
    """Show prefix, name, scopes, age and state of each key."""
    from datetime import UTC, datetime

    from lerenet.access import read_keys

    now = datetime.now(UTC)
    for each in read_keys(file):
        typer.echo(f"{_described(each)}; made {_days((now - each.created_at).days)} ago; {_state(each, now)}")


@app.command()
def revoke(file: File, prefix: Annotated[str, typer.Argument(help="Such as lere_1f0c9a2e.")]) -> None:
    """Refuse a key from now on. It stays in the list."""
    from datetime import UTC, datetime

    from lerenet.access import change_keys
    from lerenet.errors import ConfigurationError

    def revoked(kept: tuple[KeyRecord, ...]) -> list[KeyRecord]:
        if all(each.prefix != prefix for each in kept):
            raise ConfigurationError(
                f"no key has the prefix {prefix[:80]!r}: `lerenet keys list` shows those there are"
            )
        now = datetime.now(UTC)
        return [
            each.model_copy(update={"revoked_at": each.revoked_at or now}) if each.prefix == prefix else each
            for each in kept
        ]

    change_keys(file, revoked)
    typer.echo(f"{prefix} is revoked")


def _described(key: KeyRecord) -> str:
    limits = [f"at most {key.max_classes} classes"] if key.max_classes else []
    limits += [f"{key.requests_per_minute} requests a minute"] if key.requests_per_minute else []
    return "; ".join([f"{key.prefix}  {key.name or '(no name)'}  {', '.join(sorted(key.scopes))}", *limits])


def _state(key: KeyRecord, now: datetime) -> str:
    if key.state_at(now) != "valid" or key.expires_at is None:
        return key.state_at(now)
    return f"valid for {_days((key.expires_at - now).days)}"


def _days(n: int) -> str:
    return "1 day" if n == 1 else f"{n} days"
