from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from lerenet import __version__
from lerenet.cli.lazy import MODULES

ModulesAfter = Callable[..., set[str]]


AFTER_EACH = """
import json, os, sys
from lerenet.cli.main import app
for line in sys.stdin:
    if not os.fork():  # what all begin with is imported once
        sys.stdout = open(os.devnull, "w")
        try: app(json.loads(line))
        except SystemExit: pass
        with os.fdopen(1, "w") as answers: print(json.dumps(list(sys.modules)), file=answers)
        os._exit(0)
    os.wait()
"""
OF_THE_SERVICE = {"torch", "fastapi", "pydantic_settings", "matplotlib", "scipy"}


@pytest.fixture(scope="module")
def modules_after() -> Iterator[ModulesAfter]:
    """What a process has imported after `lerenet WORDS`."""
    command = [sys.executable, "-c", AFTER_EACH]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def ask(*words: str) -> set[str]:
            print(json.dumps(words), file=asked, flush=True)
            return set(json.loads(answers.readline()))

        yield ask


def test_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").output == f"lerenet {__version__}\n"


def test_help_lists_every_command(run: Run) -> None:
    output = run("--help").output
    assert [name for name in MODULES if f" {name} " not in output] == []


def test_help_needs_no_extra(modules_after: ModulesAfter) -> None:
    assert modules_after("--help").isdisjoint(OF_THE_SERVICE)


@pytest.mark.parametrize("name", MODULES)
def test_help_of_a_command_imports_no_other(modules_after: ModulesAfter, name: str) -> None:
    loaded = modules_after(*name.split(), "--help")
    others = {module for command, module in MODULES.items() if command != name}
    assert MODULES[name] in loaded
    assert loaded.isdisjoint(others | {"torch", "fastapi"})


def test_segment_needs_no_extra(modules_after: ModulesAfter, tmp_path: Path) -> None:
    (tmp_path / "plate.png").write_bytes(b"")
    # Port 1 answers nobody.
    loaded = modules_after("segment", str(tmp_path), "--url", "http://127.0.0.1:1", "--out", str(tmp_path / "out"))
    assert "lerenet.jobs.folder_job" in loaded
    assert loaded.isdisjoint({*OF_THE_SERVICE, "structlog"})


@pytest.mark.parametrize("name", MODULES)
def test_every_option_says_what_it_is_for(name: str) -> None:
    for command in _commands(name):
        assert [p.name for p in command.params if not getattr(p, "help", None)] == []


def test_unknown_command_is_bad_usage_with_a_suggestion(run: Run) -> None:
    result = run("segmnt")
    assert result.exit_code == 2
    assert "segment" in result.stderr


def test_missing_argument_is_bad_usage(run: Run) -> None:
    assert run("support", "show").exit_code == 2


def test_our_errors_end_in_one_line(run: Run) -> None:
    result = run("support", "list", "--url", "plant.example")
    assert result.exit_code == 1
    assert result.stderr == "error: 'plant.example' is no http address; write http://HOST:PORT\n"


@pytest.mark.parametrize(
    ("module", "extra", "words"),
    [
        ("torch", "serve", ("weights", "info")),
        ("fastapi", "serve", ("serve",)),
        ("matplotlib", "train", ("train", "--steps", "1")),
    ],
)
def test_missing_extra_is_named(tmp_path: Path, module: str, extra: str, words: tuple[str, ...]) -> None:
    code = (
        "import sys\n"
        "from lerenet.cli.main import app\n"
        "sys.modules[sys.argv[1]] = None\n"  # as if it were not installed
        "app(sys.argv[2:])"
    )
    command = [sys.executable, "-c", code, module, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"needs {module}" in done.stderr
    assert f"pip install 'lerenet[{extra}]'" in done.stderr


def _commands(name: str) -> list[Any]:
    from typer.main import get_command

    command = get_command(import_module(MODULES[name]).app)
    return list(getattr(command, "commands", {name: command}).values())
