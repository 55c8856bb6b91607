from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from lerenet.cli import serve
from lerenet.settings import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Settings of the services that would run; each ends with status 70."""
    found: list[Settings] = []

    def record(settings: Settings) -> int:
        found.append(settings)
        return 70

    monkeypatch.setattr("lerenet.api.server.serve", record)
    return found


def test_serve_takes_settings_from_the_environment(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LERENET_PORT", "9001")
    monkeypatch.setenv("LERENET_MAX_SHOTS", "7")
    assert run("serve").exit_code == 70
    assert (served[0].port, served[0].max_shots, served[0].host) == (9001, 7, "127.0.0.1")


def test_options_win_over_the_environment(run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_PORT", "9001")
    run(
        "serve", "--port", 9002, "--host", "0.0.0.0", "--data-dir", "d", "--weights", "w.safetensors", "--device", "cpu"
    )
    settings = served[0]
    assert (settings.port, settings.host, settings.device) == (9002, "0.0.0.0", "cpu")
    assert (settings.data_dir, settings.weights) == (Path("d"), Path("w.safetensors"))


def test_impossible_setting_ends_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_MAX_SHOTS", "0")
    result = run("serve")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: LERENET_MAX_SHOTS: ")


def test_defaults_in_the_help_are_those_of_the_settings() -> None:
    for name, parameter in inspect.signature(serve.serve, eval_str=True).parameters.items():
        shown: Any = parameter.annotation.__metadata__[0].show_default
        variable, default = re.fullmatch(r"(LERENET_\w+), else (.+)", shown).groups()  # type: ignore[union-attr]
        assert variable == f"LERENET_{name.upper()}"
        expected = Settings.model_fields[name].default
        assert default == ("the shipped one" if expected is None else str(expected))
