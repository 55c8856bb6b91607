"""A group that knows its commands by name and imports the one that is chosen; `--help` alone imports them all."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from lerenet.cli.failures import one_line

MODULES = {
    name: f"lerenet.cli.{name.split()[-1]}"
    for name in (
        "serve",
        "scaleout",
        "demo",
        "support",
        "segment",
        "healthcheck",
        "train",
        "evaluate",
        "compare",
        "synth",
        "weights",
        "calibrate",
        "bench",
        "bench fleet",
        "registry",
        "keys",
    )
}
"""Module of each command, called as its last word, in the order of `--help`. Each holds its typer application as `app`,
and imports nothing of an extra before it runs."""


class LazyGroup(TyperGroup):
    """`lerenet` itself. What a command raises on purpose ends in one line on stderr and exit status 1."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = cast(Any, dict.fromkeys(MODULES))  # names only, for lists and suggestions

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the words begin with: two of them where there is such a one."""
        pair = " ".join(args[:2])
        return super().resolve_command(ctx, [pair, *args[2:]] if pair in MODULES else args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Imports a command; None when there is none of that name."""
        if cmd_name not in MODULES:
            return None
        command = get_command(import_module(MODULES[cmd_name]).app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            line = one_line(error)
            if line is None:
                raise
            typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
            typer.echo(line, err=True)
            raise typer.Exit(1) from error
