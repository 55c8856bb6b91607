"""`lerenet`."""

from __future__ import annotations

from typing import Annotated

import typer

from lerenet import __version__
from lerenet.cli.lazy import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    name="lerenet",
    help="Few-shot segmentation of metal surface defects: register a class from a few marked images, get masks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"lerenet {__version__}")
        raise typer.Exit


@app.callback()
def lerenet(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Takes the options that stand before a command."""


def main() -> None:
    """The entry point of the script `lerenet`."""
    app(prog_name="lerenet")
